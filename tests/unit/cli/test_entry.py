"""The way into the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from secondhop import __version__

ENTRIES = (
    ["-m", "secondhop"],
    ["-c", "from secondhop.__main__ import main; main()"],  # as an installed script has it
)


@pytest.mark.parametrize("entry", ENTRIES)
def test_both_are_the_command(entry: list[str]) -> None:
    done = subprocess.run([sys.executable, *entry, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"secondhop {__version__}\n")


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_interrupt_while_it_is_loaded_is_quiet(entry: list[str], tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, *entry, "--version"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
