"""Every test here builds labs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from staying import Secondhop


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of all labs of a test, and of no other."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    return runtime


@pytest.fixture
def secondhop(root: Path) -> Iterator[Secondhop]:
    """The command, in that folder; what is still up at the end is taken down."""
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
