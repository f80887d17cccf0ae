"""A kubectl that is none: answers from files, and fails as it is told to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "fixtures/live/kubectl.py"
Object = dict[str, Any]

LISTS = {
    "Service": "/api/v1/services",
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "ConfigMap": "/api/v1/configmaps",
}


class StandIn:
    """A folder to put on PATH. What it serves may be changed at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        program = self.bin / "kubectl"
        program.write_text(f"#!{sys.executable} -IS\n{PROGRAM.read_text()}")
        program.chmod(0o755)
        (folder / "objects").mkdir()
        self.serve([])
        self.faults([])

    def serve(self, objects: Iterable[Object], version: str = "v1.33.1") -> None:
        """Serve these objects."""
        of: dict[str, list[Object]] = {kind: [] for kind in LISTS}
        for one in objects:
            of[one["kind"]].append(one)
        for kind, items in of.items():
            head = {"apiVersion": _version(kind), "kind": f"{kind}List"}
            self._write(f"objects/{_file(LISTS[kind])}", head | {"items": items})
        self._write("objects/_version", {"gitVersion": version})

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """What goes wrong: `on` is part of the request's path; `says`: on stderr; `times`: the
        first so many only; `sleep`: seconds."""
        for count in self.folder.glob("count-*"):
            count.unlink()
        self._write("faults.json", list(rules))

    def allow(self, rules: Sequence[Mapping[str, Any]] | None) -> None:
        """Allow nothing but what these rules of a ClusterRole do; None: everything."""
        self._write("rules.json", rules)

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def _write(self, name: str, value: object) -> None:
        (self.folder / name).write_text(json.dumps(value))


def _version(kind: str) -> str:
    path = LISTS[kind].split("/")
    return "/".join(path[2:-1])


def _file(path: str) -> str:
    return path.replace("/", "_")


SECRET = "hunter2"
"""Stands wherever a cluster may hold a secret; must not come out anywhere."""


def cluster(nodes: int = 3, services: int = 2, each: int = 2) -> list[Object]:
    """A cluster of NodePort Services in namespace shop, that many endpoints behind each, on the
    nodes in turn."""
    found = [_node(n) for n in range(nodes)]
    placed = 0
    for number in range(services):
        pods = []
        for k in range(each):
            pods.append(_pod(f"web{number}-{k}", f"web{number}", placed % nodes, placed // nodes))
            placed += 1
        found += [_service(number), _slice(number, pods), *pods]
    return found


def _node(n: int) -> Object:
    address = f"172.16.{n // 250}.{n % 250 + 1}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _metadata(f"n{n}") | {"annotations": {"node.example/secret": SECRET}},
        "spec": {"podCIDR": f"10.{64 + n // 256}.{n % 256}.0/24"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "nodeInfo": {"kubeletVersion": "v1.33.1"},
        },
    }


def _pod(name: str, app: str, node: int, number: int) -> Object:
    ip = f"10.{64 + node // 256}.{node % 256}.{number % 240 + 2}"
    env = [{"name": "PASSWORD", "value": SECRET}]
    container = {"name": "web", "image": "web", "args": [f"--token={SECRET}"], "env": env}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(name, "shop", {"app": app})
        | {"managedFields": [{"manager": SECRET}]},
        "spec": {"nodeName": f"n{node}", "containers": [container], "volumes": [{"name": SECRET}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _service(number: int) -> Object:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": SECRET}
    cluster_ip = f"10.43.{number // 250}.{number % 250 + 1}"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(f"web{number}", "shop") | {"annotations": applied},
        "spec": {
            "type": "NodePort",
            "selector": {"app": f"web{number}"},
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "externalTrafficPolicy": "Local",
            "ports": [{"port": 80, "targetPort": 80, "nodePort": 20000 + number}],
        },
    }


def _slice(number: int, pods: Sequence[Object]) -> Object:
    labels = {"kubernetes.io/service-name": f"web{number}"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(f"web{number}-x", "shop", labels),
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": pod["spec"]["nodeName"],
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
            }
            for pod in pods
        ],
    }


def _metadata(name: str, namespace: str = "", labels: Mapping[str, str] | None = None) -> Object:
    found: Object = {"name": name, "uid": f"uid-{name}"}
    if namespace:
        found["namespace"] = namespace
    return found | ({"labels": dict(labels)} if labels else {})


def config_map(namespace: str, name: str, **data: str) -> Object:
    """A ConfigMap."""
    metadata = _metadata(name, namespace)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def daemon_set(name: str, namespace: str = "kube-system") -> Object:
    """A DaemonSet, whose variables hold a secret."""
    env = [{"name": "KEY", "value": SECRET}]
    template = {"spec": {"containers": [{"name": name, "image": name, "env": env}]}}
    metadata = _metadata(name, namespace)
    spec = {"template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
