"""Where the answer cannot be written."""

import subprocess
import sys
from pathlib import Path


def test_a_full_disk_is_told_once() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from secondhop.cli import main; main()", "explain"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("secondhop: the system refuses: ")
    assert "Exception" not in done.stderr
