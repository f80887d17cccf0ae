"""A cluster of both families, for the tests that need one."""

from __future__ import annotations

import random
from typing import Any

from support import lab, pod, service, world

from secondhop.manifests import World

CLIENT = {"addresses": ["192.168.22.2", "fd00:192:168:22::2"]}
NODES = [
    {
        "name": "gz1",
        "addresses": ["192.168.8.1", "fd00:192:168:8::1"],
        "podCIDRs": ["10.42.0.0/24", "fd00:10:42::/64"],
    },
    {
        "name": "xjp1",
        "addresses": ["172.17.26.70", "fd00:172:17:26::70"],
        "podCIDRs": ["10.42.1.0/24", "fd00:10:42:1::/64"],
    },
]


def dual(name: str, node_port: int = 0, **spec: Any) -> dict[str, Any]:
    """A Service of both families for pods labelled app=NAME, TCP and UDP."""
    ports: list[dict[str, Any]] = [
        {"name": "http", "port": 80, "targetPort": 80, "nodePort": node_port},
        {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": node_port + 1},
    ]
    if not node_port:
        for port in ports:
            del port["nodePort"]
    return service(name, ports=ports, **{"ipFamilyPolicy": "PreferDualStack", **spec})


def only(version: int, nodes: list[dict[str, Any]] = NODES) -> list[dict[str, Any]]:
    """The nodes with one family."""
    at = (4, 6).index(version)
    return [
        {"name": n["name"], "address": n["addresses"][at], "podCIDR": n["podCIDRs"][at]}
        for n in nodes
    ]


def random_dual_world(seed: int) -> World:
    """A cluster of both families with everything drawn anew: which of them comes first, who has
    both, backends, Services, pods and their readiness."""
    draw = random.Random(seed)
    vxlan, order = draw.random() < 0.7, draw.choice((1, -1))
    nodes: list[dict[str, Any]] = []
    for number in range(draw.randint(1, 4)):
        segment = draw.randrange(3) if vxlan else 0
        addresses = [f"10.1.{segment}.{number + 1}", f"fd00:1:{segment}::{number + 1:x}"]
        cidrs = [f"10.50.{number}.0/24", f"fd00:50:0:{number:x}::/64"]
        kept = slice(None) if draw.random() < 0.8 else slice(1)
        node = {"addresses": addresses[kept][::order], "podCIDRs": cidrs[kept][::order]}
        nodes.append({"name": f"node-{number}", **node})
    pods = [
        pod(f"web-{n}", draw.choice(nodes)["name"], ready=draw.random() < 0.75)
        for n in range(draw.randint(0, 4))
    ]
    if pods and draw.random() < 0.3:
        pods[0]["spec"]["hostNetwork"] = True
    network = {
        "backend": "vxlan" if vxlan else "host-gw",
        "podCIDRs": ["10.50.0.0/16", "fd00:50::/48"][::order],
        "serviceCIDRs": ["10.96.0.0/16", "fd00:96::/112"][::order],
    }
    chosen = dual(
        "web",
        30080,
        ipFamilyPolicy=draw.choice(("PreferDualStack", "SingleStack")),
        externalTrafficPolicy=draw.choice(("Cluster", "Local")),
        internalTrafficPolicy=draw.choice(("Cluster", "Local")),
    )
    return world(lab(nodes, client=CLIENT, network=network), chosen, *pods)
