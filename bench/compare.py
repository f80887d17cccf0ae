"""How long `secondhop compare` takes: the whole process, and on what load of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time

SECONDHOP = [sys.executable, "-c", "import sys; from secondhop.cli import main; sys.exit(main())"]
TARGETS = {("compare",): 60, ("compare", "--quick"): 10}


def main() -> None:
    """Three of each."""
    for arguments, target in TARGETS.items():
        took = []
        for _ in range(3):
            begun = time.monotonic()
            subprocess.run([*SECONDHOP, *arguments, "-o", "json"], capture_output=True, check=True)
            took.append(time.monotonic() - begun)
        load = os.getloadavg()[0]
        told = f"{min(took):.1f} to {max(took):.1f} s (target: under {target} s)"
        print(f"{' '.join(arguments)}: {told}, load {load:.1f}")


if __name__ == "__main__":
    main()
