#!/usr/bin/env python3
"""Seconds of `secondhop trace`, whole process: the reference connection on a throw-away lab, in
both modes, beside `secondhop run`, which makes 48 connections and records none. By `make bench`.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SECONDHOP = str(Path(sys.executable).parent / "secondhop")
RUNS, PAUSE = 15, 0.3
TARGET = 0.5


def measured(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Least, median and most seconds."""
    found = []
    for _ in range(RUNS):
        begun = time.monotonic()
        done = subprocess.run([SECONDHOP, *arguments], capture_output=True, text=True)
        found.append(time.monotonic() - begun)
        assert done.returncode == 0, done.stderr
        time.sleep(PAUSE)  # the kernel's clean-up of a lab stalls the next one
    found.sort()
    return found[0], found[RUNS // 2], found[-1]


def main() -> None:
    for arguments in (
        ["run"],
        ["trace"],
        ["trace", "--proxy-mode", "nftables"],
        ["trace", "--policy", "Local"],
    ):
        least, median, most = measured(arguments)
        told = f"(target {TARGET:.1f} s)" if arguments[0] == "trace" else ""
        name = " ".join(arguments)
        print(f"secondhop {name}: {median:.2f} s ({least:.2f}-{most:.2f}) {told}")


if __name__ == "__main__":
    main()
