"""What the API server refuses in an EndpointSlice (semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.field import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from ..manifests.api.syntax import (
    address,
    dns_label,
    dns_subdomain,
    family,
    port_number,
    special_address,
)
from ..manifests.api.values import PROTOCOLS
from ..manifests.problems import Path

_TYPES = ("FQDN", "IPv4", "IPv6")
_ENDPOINTS, _ADDRESSES, _PORTS, _HINTS = 1000, 100, 20000, 8


def slice_rules(new: Object, old: Object | None) -> Iterator[FieldError]:
    """Refusals of an EndpointSlice, without its metadata."""
    kind = new.get("addressType") or ""
    if not kind:
        yield required(("addressType",))
    elif kind not in _TYPES:
        yield not_supported(("addressType",), kind, _TYPES)
    if old is not None and kind != old["addressType"]:
        yield invalid(("addressType",), kind, "field is immutable")
    endpoints, ports = new.get("endpoints") or [], new.get("ports") or []
    if len(endpoints) > _ENDPOINTS:
        yield too_many(("endpoints",), len(endpoints), _ENDPOINTS)
        return
    for n, endpoint in enumerate(endpoints):
        yield from _endpoint(endpoint, kind, ("endpoints", n))
    if len(ports) > _PORTS:
        yield too_many(("ports",), len(ports), _PORTS)
        return
    yield from _ports(ports)


def _endpoint(endpoint: Object, kind: str, path: Path) -> Iterator[FieldError]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        yield required((*path, "addresses"), "must contain at least 1 address")
    elif len(addresses) > _ADDRESSES:
        yield too_many((*path, "addresses"), len(addresses), _ADDRESSES)
    for n, text in enumerate(addresses):
        for why in _wrong(text, kind):
            yield invalid((*path, "addresses", n), text, why)
    if name := endpoint.get("nodeName"):
        for why in dns_subdomain(name):
            yield invalid((*path, "nodeName"), name, why)
    if name := endpoint.get("hostname"):
        for why in dns_label(name):
            yield invalid((*path, "hostname"), name, why)
    for part, hints in (endpoint.get("hints") or {}).items():
        if len(hints) > _HINTS:
            yield too_many((*path, "hints", part), len(hints), _HINTS)


def _wrong(text: str, kind: str) -> list[str]:
    if kind == "FQDN":
        return dns_subdomain(text)
    if wrong := address(text, strict=True):
        return wrong
    if kind in _TYPES and family(text) != kind:
        return [f"must be an {kind} address"]
    return special_address(text)


def _ports(ports: list[Object]) -> Iterator[FieldError]:
    taken: set[str] = set()
    for n, port in enumerate(ports):
        name = port.get("name") or ""
        if name in taken:
            yield duplicate(("ports", n, "name"), name)
        taken.add(name)
        for why in dns_label(name) if name else []:
            yield invalid(("ports", n, "name"), name, why)
        if port.get("protocol") not in PROTOCOLS:
            yield not_supported(("ports", n, "protocol"), port.get("protocol", ""), PROTOCOLS)
        for why in port_number(port["port"]) if port.get("port") is not None else []:
            yield invalid(("ports", n, "port"), port["port"], why)
