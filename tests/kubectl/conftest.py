"""The stock kubectl against the server alone: no kubelet, no controllers, a fake agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubectls import binaries, minor
from serving import FakeAgent, Served, a_cluster, served

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Server

LABELS = {"app": "web"}


@dataclass(frozen=True)
class Kube:
    """A kubectl, and the cluster it is set to."""

    binary: Path
    served: Served
    home: Path

    @property
    def server(self) -> Server:
        return self.served.server

    @property
    def agent(self) -> FakeAgent:
        return self.served.agent

    @property
    def minor(self) -> int:
        return minor(self.binary)

    @property
    def environment(self) -> dict[str, str]:
        kubeconfig = self.served.kubeconfig(self.home)
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(kubeconfig)}

    def run(
        self, *args: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """kubectl with these arguments."""
        return subprocess.run(
            [self.binary, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            env=self.environment | environment,
        )

    def __call__(self, *args: str, stdin: str = "", **environment: str) -> str:
        """What kubectl prints, when all goes well."""
        done = self.run(*args, stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *args: str, stdin: str = "") -> str:
        """What it complains of."""
        done = self.run(*args, stdin=stdin)
        assert done.returncode == 1, done
        return done.stderr

    def start(self, *args: str) -> subprocess.Popen[str]:
        """One that runs on; to be killed."""
        return subprocess.Popen(
            [self.binary, *args], stdout=subprocess.PIPE, text=True, env=self.environment
        )


ALWAYS = ("pypi", "machine")
"""Tested every time; the others by `make soak`."""
FIRST = 29
"""The first minor version that reads OpenAPI v3 for everything."""


@pytest.fixture(
    params=[
        pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.soak])
        for name, path in binaries().items()
        if minor(path) >= FIRST
    ]
)
def kube(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kube]:
    """A kubectl and a cluster with a node, a running pod, a Deployment and a Service."""
    with served(seeded()) as one:
        yield Kube(binaries()[request.param], one, tmp_path)


@pytest.fixture(params=[name for name, path in binaries().items() if minor(path) < FIRST])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kube]:
    """The same, with a kubectl that wants OpenAPI v2 and SPDY."""
    with served(seeded()) as one:
        yield Kube(binaries()[request.param], one, tmp_path)


def seeded() -> Server:
    server = a_cluster()
    for kind, value in seeds():
        status = value.pop("status", {})
        namespace = "default" if KINDS[kind].namespaced else ""
        made = server.create(KINDS[kind], value, namespace).object
        if status:
            name = made["metadata"]["name"]
            server.update(
                KINDS[kind], name, made | {"status": status}, namespace, subresource="status"
            )
    return server


def seeds() -> Iterator[tuple[str, dict[str, Any]]]:
    ready = [{"type": "Ready", "status": "True"}]
    addresses = [{"type": "InternalIP", "address": "192.168.8.1"}]
    yield (
        "Node",
        {
            "metadata": {"name": "gz1"},
            "status": {"conditions": ready, "addresses": addresses},
        },
    )
    container = {"name": "web", "image": "traefik/whoami"}
    pod_spec = {"containers": [container]}
    template = {"metadata": {"labels": LABELS}, "spec": pod_spec}
    running = {
        "name": "web", "ready": True, "restartCount": 0, "image": "traefik/whoami", "imageID": "",
        "started": True, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }  # fmt: skip
    yield "Pod", {
        "metadata": {"name": "web", "labels": LABELS},
        "spec": {**pod_spec, "nodeName": "gz1"},
        "status": {
            "phase": "Running", "podIP": "10.42.0.2", "podIPs": [{"ip": "10.42.0.2"}],
            "conditions": ready, "containerStatuses": [running],
        },
    }  # fmt: skip
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    yield "Deployment", {"metadata": {"name": "web", "labels": LABELS}, "spec": spec}
    ports = [{"port": 80, "nodePort": 30080}]
    yield (
        "Service",
        {
            "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "selector": LABELS, "ports": ports},
        },
    )
