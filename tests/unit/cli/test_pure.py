"""Prediction needs nothing of the lab: neither its code nor what only Linux has."""

import subprocess
import sys

import pytest

BLOCKED = ["secondhop.lab", "secondhop.dataplane", "secondhop.experiment", "asyncio", "ctypes"]
CODE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == gone or name.startswith(gone + ".") for gone in {BLOCKED!r}):
            raise ImportError(name + " is not on this machine")

sys.meta_path.insert(0, Absent())
from secondhop.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["explain", "--all"],
        ["explain", "--to", "192.168.8.1:30316"],
        ["explain", "-o", "json"],
        ["schema", "Prediction"],
        ["--version"],
        ["--help"],
    ],
)
def test_without_the_lab(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_block_blocks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "doctor"], capture_output=True, text=True, timeout=30
    )
    assert "is not on this machine" in done.stderr
