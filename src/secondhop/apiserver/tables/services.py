"""Rows of Services and what stands behind them."""

from __future__ import annotations

from collections.abc import Iterator

from ...client import Object
from .text import NONE, age, first, pairs

_UNSET = "<unset>"


def service(value: Object, now: float) -> list[object]:
    """NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE; SELECTOR."""
    spec = value.get("spec") or {}
    return [
        value["metadata"]["name"],
        spec.get("type", ""),
        next(iter(spec.get("clusterIPs") or []), NONE),
        _external(value, spec),
        ",".join(map(_port, spec.get("ports") or [])) or NONE,
        age(value, now),
        pairs(spec.get("selector")),
    ]


def _external(value: Object, spec: Object) -> str:
    given = ",".join(spec.get("externalIPs") or [])
    match spec.get("type"):
        case "ExternalName":
            return str(spec.get("externalName") or NONE)
        case "LoadBalancer":
            balancer = (value.get("status") or {}).get("loadBalancer") or {}
            found = {i.get("ip") or i.get("hostname") for i in balancer.get("ingress") or []}
            told = ",".join(sorted(filter(None, found)))
            return ",".join(filter(None, (told, given))) or "<pending>"
    return given or NONE


def _port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def endpoint_slice(value: Object, now: float) -> list[object]:
    """NAME ADDRESSTYPE PORTS ENDPOINTS AGE."""
    ports = (str(p.get("port") or p.get("name") or "*") for p in value.get("ports") or [])
    addresses = (a for e in value.get("endpoints") or [] for a in e.get("addresses") or [])
    return [
        value["metadata"]["name"],
        value.get("addressType", ""),
        first(ports, _UNSET),
        first(addresses, _UNSET),
        age(value, now),
    ]


def endpoints(value: Object, now: float) -> list[object]:
    """NAME ENDPOINTS AGE."""
    return [value["metadata"]["name"], first(_ready(value), NONE), age(value, now)]


def _ready(value: Object) -> Iterator[str]:
    for subset in value.get("subsets") or []:
        for port in subset.get("ports") or [{}]:
            for address in subset.get("addresses") or []:
                ip, number = address["ip"], port.get("port")
                host = f"[{ip}]" if ":" in ip and number else ip
                yield f"{host}:{number}" if number else ip
