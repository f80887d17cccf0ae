"""The rules for tests themselves: no skip without leave, no soak unasked, an unprivileged user."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Unprivileged

CONFTEST = Path(__file__).parent.parent / "conftest.py"

SUITE = """
import pytest
@pytest.mark.skip(reason="tired")
def test_marked(): pass
@pytest.mark.parametrize("x", ["a"])
def test_listed(x): pytest.skip("known")
def test_unlisted(): pytest.skip("felt like it")
@pytest.mark.xfail(reason="known bug")
def test_expected_failure(): assert False
@pytest.mark.soak
def test_long(): assert False
"""


@pytest.fixture
def closing_line(tmp_path: Path) -> str:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "allowed-skips.txt").write_text(
        "# note\n*::test_listed[a]  because\n*::test_marked\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = soak: long\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "felt like it\nskipped without leave" in done.stdout
    return done.stdout.splitlines()[-1]


def test_a_skip_that_is_not_listed_with_a_reason_fails(closing_line: str) -> None:
    """test_marked has no reason in the list; a skip by a mark comes before the test: an error."""
    outcome = closing_line.split(" in ")[0]
    assert outcome == "1 failed, 1 skipped, 1 deselected, 1 xfailed, 1 error"


def test_unprivileged_is_not_root_and_imports_the_package(unprivileged: "Unprivileged") -> None:
    code = (
        "import os, secondhop, sys; print(os.geteuid(), *os.getgroups(), os.access('.', os.W_OK))"
    )
    done = subprocess.run(
        [*unprivileged.python, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        **unprivileged.options,
    )
    user, *groups, writable = done.stdout.split()
    assert int(user) == unprivileged.uid != 0
    assert writable == "True"
    if os.geteuid() == 0:
        assert "0" not in groups


def test_unprivileged_runs_secondhop(unprivileged: "Unprivileged") -> None:
    done = unprivileged.run("--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
