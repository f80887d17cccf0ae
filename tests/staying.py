"""What tests of labs that stay need: the command, and which processes they have."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Secondhop = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def commands(root: Path) -> Iterator[Secondhop]:
    """The command, with its labs in a folder; what is still up at the end is taken down."""
    environment = os.environ | {"XDG_RUNTIME_DIR": str(root)}
    main = "import sys; from secondhop.cli import main; sys.exit(main())"

    def call(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", main, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            input=text,
            timeout=60,
        )

    yield call
    assert call("lab", "down", "--all").returncode == 0
    assert list((root / "secondhop").glob("*")) == []


def processes(root: Path) -> list[int]:
    """Everything that runs with this XDG_RUNTIME_DIR."""
    wanted = f"XDG_RUNTIME_DIR={root}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            mine = wanted in (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mine and state != "Z":
            found.append(int(entry.name))
    return sorted(found)


def gone(root: Path, seconds: float = 3) -> bool:
    """Whether nothing runs any more, soon."""
    deadline = time.monotonic() + seconds
    while processes(root) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes(root)


def sleepers(mark: str) -> list[int]:
    """Every `sleep` of so long."""
    wanted = f"sleep\0{mark}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() == wanted:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
