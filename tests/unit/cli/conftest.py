"""The command line as a function, for the verbs that need no other process, and its inputs."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from support import deployment, lab, service

from secondhop.cli import main


class Done(NamedTuple):
    """What a call left behind."""

    code: int
    out: str
    err: str


Secondhop: TypeAlias = Callable[..., Done]


@pytest.fixture
def secondhop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Secondhop:
    """`secondhop("explain", "--all")` as the console script would run it."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["secondhop", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return call


def write(path: Path, *documents: dict[str, Any]) -> str:
    path.write_text("\n---\n".join(map(json.dumps, documents)))
    return str(path)


FULL: dict[str, Any] = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 30999,
    "externalIPs": ["198.51.100.7"],
}
STATUS = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
NODES = [
    {"name": f"n{k}", "address": f"10.1.0.{k + 1}", "podCIDR": f"10.50.{k}.0/24"} for k in range(5)
]
RANGES = {"podCIDR": "10.50.0.0/16", "serviceCIDR": "10.96.0.0/16"}


@pytest.fixture
def many(tmp_path: Path) -> str:
    """Five nodes with 2, 1 and no pods behind every kind of entry, and a Service without any."""
    return write(
        tmp_path / "many.json",
        lab(NODES, network=RANGES, placement={"web": ["n0", "n0", "n1"]}),
        deployment(replicas=3),
        service(**FULL) | {"status": STATUS},
        {**service("inner"), "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    )
