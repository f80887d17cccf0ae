"""Every test here builds labs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from staying import Secondhop, commands


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
    with commands(root) as call:
        yield call
