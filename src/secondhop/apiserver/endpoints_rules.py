"""What the API server refuses in Endpoints, the older form of EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.field import FieldError, invalid, not_supported, required
from ..manifests.api.syntax import address, dns_label, dns_subdomain, port_number, special_address
from ..manifests.api.values import PROTOCOLS
from ..manifests.problems import Path


def endpoints_rules(new: Object, old: Object | None) -> Iterator[FieldError]:
    """Refusals of Endpoints, without their metadata."""
    for n, subset in enumerate(new.get("subsets") or []):
        path: Path = ("subsets", n)
        ready, others = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
        if not (ready or others):
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for part, addresses in ("addresses", ready), ("notReadyAddresses", others):
            for m, each in enumerate(addresses):
                yield from _address(each, (*path, part, m))
        ports = subset.get("ports") or []
        for m, port in enumerate(ports):
            yield from _port(port, (*path, "ports", m), named=len(ports) > 1)


def _address(each: Object, path: Path) -> Iterator[FieldError]:
    ip, node = each["ip"], each.get("nodeName")
    for why in address(ip, strict=True) or special_address(ip):
        yield invalid((*path, "ip"), ip, why)
    if hostname := each.get("hostname"):
        for why in dns_label(hostname):
            yield invalid((*path, "hostname"), hostname, why)
    for why in dns_subdomain(node) if node is not None else []:
        yield invalid((*path, "nodeName"), node, why)


def _port(port: Object, path: Path, *, named: bool) -> Iterator[FieldError]:
    name = port.get("name") or ""
    if named and not name:
        yield required((*path, "name"))
    for why in dns_label(name) if name else []:
        yield invalid((*path, "name"), name, why)
    for why in port_number(port["port"]):
        yield invalid((*path, "port"), port["port"], why)
    if port["protocol"] not in PROTOCOLS:
        yield not_supported((*path, "protocol"), port["protocol"], PROTOCOLS)
