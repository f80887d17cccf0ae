"""A cluster of both families, for the tests that need one."""

from __future__ import annotations

from typing import Any

from support import service

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
    return service(name, ports=ports, ipFamilyPolicy="PreferDualStack", **spec)


def only(version: int, nodes: list[dict[str, Any]] = NODES) -> list[dict[str, Any]]:
    """The nodes with one family."""
    at = (4, 6).index(version)
    return [
        {"name": n["name"], "address": n["addresses"][at], "podCIDR": n["podCIDRs"][at]}
        for n in nodes
    ]
