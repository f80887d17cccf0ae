"""What tests of several rooms need: worlds to build, and ways into a lab."""

from __future__ import annotations

import json
import pickle
import random
import socket
import subprocess
import traceback
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar, cast

from secondhop.lab.client import Lab
from secondhop.lab.netns import Namespace
from secondhop.lab.sandbox import Sandbox
from secondhop.manifests import World, build, read_text, reference_documents
from secondhop.model.cluster import Endpoint, Service

T = TypeVar("T")


def sandboxed(function: Callable[[], T]) -> T:
    """Run a function as the supervisor of a sandbox of its own and give its result back.

    Raises AssertionError with the traceback if it raised.
    """

    def main(channel: socket.socket) -> None:
        answer: tuple[bool, object]
        try:
            answer = (True, function())
        except BaseException:
            answer = (False, traceback.format_exc())
        channel.sendall(pickle.dumps(answer))
        channel.shutdown(socket.SHUT_WR)

    sandbox = Sandbox(main)
    try:
        sandbox.born()
        data = b""
        while part := sandbox.channel.recv(1 << 20):
            data += part
    finally:
        sandbox.close()
    good, result = pickle.loads(data)
    assert good, result
    return cast(T, result)


def enter(
    lab: Lab, where: str, *argv: str, timeout: float = 10
) -> subprocess.CompletedProcess[str]:
    """Run a program inside a lab's namespace by nsenter: not one line of secondhop."""
    descriptor = f"/proc/{lab.pid}/fd/{lab.descriptors()[where]}"
    namespaces = f"--user=/proc/{lab.pid}/ns/user", f"--net={descriptor}"
    return subprocess.run(
        ["nsenter", *namespaces, "--preserve-credentials", *argv],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def nft_objects(namespace: Namespace) -> list[dict[str, Any]]:
    """Every nftables object in a namespace, as the program nft says: kind to fields."""
    with namespace:
        command = ["/usr/sbin/nft", "-j", "list", "ruleset"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout)["nftables"])


def nft_contents(namespace: Namespace) -> list[str]:
    """All of it but handles, comparable: the rules of each chain in order, elements in any."""
    found = []
    counts: dict[str, int] = {}
    for one in nft_objects(namespace):
        [(kind, fields)] = one.items()
        fields.pop("handle", None)
        if kind == "rule":
            chain = f"{fields['family']} {fields['chain']}"
            fields["number"] = counts[chain] = counts.get(chain, 0) + 1
        fields["elem"] = sorted(fields.get("elem", ()), key=str)
        found.append(f"{kind} {fields}")
    return sorted(found)


def world(*objects: dict[str, Any]) -> World:
    """A World of these objects; the reference Lab where they say nothing else."""
    return build(read_text("\n---\n".join(json.dumps(one) for one in objects), "test.json"))


def reference() -> tuple[World, Service]:
    """The reference experiment and its Service."""
    built = build(reference_documents())
    return built, built.cluster.services[0]


def lab(nodes: Sequence[dict[str, Any]], **sections: Any) -> dict[str, Any]:
    """A Lab document."""
    return {"apiVersion": "secondhop/v1", "kind": "Lab", "nodes": list(nodes), **sections}


def deployment(name: str = "web", replicas: int = 1, **container: Any) -> dict[str, Any]:
    """A Deployment of whoami."""
    labels = {"app": name}
    pod = {"containers": [{"name": "whoami", "image": "traefik/whoami", **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def pod(name: str, node: str, *, app: str = "web", ready: bool = True) -> dict[str, Any]:
    """A running Pod of whoami, ready or not."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "whoami", "image": "traefik/whoami"}],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(name: str = "web", *, node_port: int = 30080, **spec: Any) -> dict[str, Any]:
    """A NodePort Service for pods labelled app=NAME."""
    ports = [{"protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": node_port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "NodePort", "selector": {"app": name}, "ports": ports, **spec},
    }


def random_world(seed: int) -> World:
    """A Lab with everything drawn anew: names, addresses, CIDRs, ports, placement, readiness."""
    draw = random.Random(seed)
    vxlan = draw.random() < 0.6
    pods = IPv4Network((draw.choice((0x0A000000, 0x64400000)) | draw.randrange(64) << 16, 16))
    services = IPv4Network((0x0A800000 | draw.randrange(64) << 16, 16))
    segments = [IPv4Network((0xAC100000 | draw.randrange(16) << 16 | k << 8, 24)) for k in range(6)]
    names = draw.sample(["gz1", "xjp1", "a", "node-7.example", "worker-0", "z9"], 5)
    taken: set[IPv4Address] = set()

    def address(segment: IPv4Network) -> str:
        while (chosen := segment[draw.randrange(1, 250)]) in taken:
            pass
        taken.add(chosen)
        return str(chosen)

    nodes = [
        {
            "name": names[k],
            "address": address(draw.choice(segments) if vxlan else segments[0]),
            "podCIDR": str(list(pods.subnets(new_prefix=24))[k * 7 + draw.randrange(7)]),
        }
        for k in range(draw.randint(1, 4))
    ]
    port, node_port = draw.randint(1, 65535), draw.randint(30000, 32767)
    target = draw.choice((80, 8080, port))
    replicas = [
        pod(f"web-{k}", draw.choice(nodes)["name"], ready=draw.random() < 0.75)
        for k in range(draw.randint(0, 5))
    ]
    for one in replicas:
        one["spec"]["containers"][0]["args"] = ["--port", str(target)]
    spec: dict[str, Any] = {
        "ports": [{"port": port, "targetPort": target, "nodePort": node_port}],
        "externalTrafficPolicy": draw.choice(("Cluster", "Local")),
    }
    network = {
        "backend": "vxlan" if vxlan else "host-gw",
        "podCIDR": str(pods),
        "serviceCIDR": str(services),
    }
    client = {"address": address(draw.choice(segments))}
    return world(lab(nodes, client=client, network=network), service(**spec), *replicas)


def in_proxy_order(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Sorted as kube-proxy sorts them: by the string `ip:port` (semantics §1.2)."""
    return tuple(sorted(endpoints, key=str))
