"""What every test shares: no skip without leave, no soak unasked, and a user without privileges."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # a machine that is busy with other things is no failure

UNABLE = "doctor: "
"""How the reason of a skip begins that this machine's kernel causes; no excuse in CI."""
ALLOWED_SKIPS = Path(__file__).with_name("allowed-skips.txt")


def pytest_configure(config: pytest.Config) -> None:
    """Soak campaigns run only when asked for by name; a checkout one cannot write has no caches."""
    config.option.markexpr = config.option.markexpr or "not soak"
    for warning in "pytest.PytestCacheWarning", "hypothesis.errors.HypothesisWarning":
        config.addinivalue_line("filterwarnings", f"default::{warning}")


def skip_allowed(nodeid: str) -> bool:
    """Whether allowed-skips.txt lists this test, with a reason."""
    for line in ALLOWED_SKIPS.read_text().splitlines():
        pattern, _, reason = line.strip().partition(" ")
        listed = bool(reason) and not pattern.startswith("#")
        if listed and fnmatchcase(nodeid, pattern.replace("[", "[[]")):
            return True
    return False


def deny_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip that is not listed becomes a failure, so that it shows in pytest's closing line."""
    if report.skipped and not hasattr(report, "wasxfail") and not skip_allowed(report.nodeid):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if str(why).startswith(f"Skipped: {UNABLE}") and "CI" not in os.environ:
            return
        report.outcome = "failed"
        report.longrepr = f"{why}\nskipped without leave: list it in {ALLOWED_SKIPS.name}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that skips itself, or is marked so."""
    report = yield
    deny_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that skips itself."""
    report = yield
    deny_skip(report)
    return report


@dataclass(frozen=True)
class Unprivileged:
    """A user without privileges, and how to run Python and secondhop as that user.

    `subprocess.run([*user.secondhop, "run"], **user.options)`: the options carry user, group,
    working directory and environment (its own HOME, no XDG_RUNTIME_DIR); for more environment,
    `user.options | {"env": user.options["env"] | {...}}`.
    """

    uid: int
    gid: int
    home: Path
    python: tuple[str, ...]
    options: dict[str, Any]

    @property
    def secondhop(self) -> tuple[str, ...]:
        """The console script's own two lines, since the script may lie where only root can read."""
        return (*self.python, "-c", "import sys; from secondhop.cli import main; sys.exit(main())")

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `secondhop ARGUMENTS` to its end, output captured as text, whatever the exit code."""
        return subprocess.run(
            [*self.secondhop, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            **self.options,
        )


@pytest.fixture(scope="session")
def unprivileged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unprivileged]:
    """Root: `nobody`; anyone else: oneself.

    `nobody` may be unable to read the checkout (a clone below /root, an umask of 077) or to execute
    its interpreter. Whether it can is found by trying. If not, the package and its two dependencies
    are copied to a folder every user can read and run by the system's interpreter of this version.
    """
    if os.geteuid() != 0:
        home = tmp_path_factory.mktemp("home")
        environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
        options = {"cwd": home, "env": environment}
        yield Unprivileged(os.getuid(), os.getgid(), home, (sys.executable,), options)
        return
    account = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="secondhop-tests-"))  # pytest's own are closed to others
    try:
        home.chmod(0o755)
        os.chown(home, account.pw_uid, account.pw_gid)
        environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}  # no sbin
        options = {
            "cwd": home,
            "env": environment,
            "user": account.pw_uid,
            "group": account.pw_gid,
            "extra_groups": [],
        }
        python = (sys.executable,)
        if not _imports(python, options):
            environment["PYTHONPATH"] = str(_copy_package(home / "packages"))
            version = f"python{sys.version_info.major}.{sys.version_info.minor}"
            python = (shutil.which(version, path="/usr/bin:/usr/local/bin") or sys.executable,)
            if not _imports(python, options):
                pytest.fail(
                    f"{python[0]} cannot be run by {account.pw_name}: `make setup` picks one"
                )
        yield Unprivileged(account.pw_uid, account.pw_gid, home, python, options)
    finally:
        shutil.rmtree(home)


def _imports(python: tuple[str, ...], options: dict[str, Any]) -> bool:
    command = [*python, "-c", "import click, yaml, secondhop.cli"]
    try:
        return not subprocess.run(command, capture_output=True, timeout=30, **options).returncode
    except PermissionError:
        return False


def _copy_package(target: Path) -> Path:
    for name in "secondhop", "click", "yaml", "_yaml":
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations:
            shutil.copytree(next(iter(spec.submodule_search_locations)), target / name)
    for path in target, *target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


@pytest.fixture(scope="session")
def able() -> None:
    """Skips where doctor says that this machine cannot run a lab."""
    from secondhop.lab.doctor import examine

    if lacking := [f"{c.name}: {c.detail}" for c in examine() if c.needed and not c.good]:
        pytest.skip(UNABLE + "; ".join(lacking))
