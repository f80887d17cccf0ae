"""What the API warns of, without refusing it (semantics §10.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.syntax import parse_address, parse_network
from ..manifests.api.values import TOPOLOGY_HINTS, TOPOLOGY_MODE
from .kinds import Kind


def warnings(kind: Kind, value: Object) -> Iterator[str]:
    """Warnings about a written object; what every request is told of its kind is not among them."""
    if kind.kind == "Service":
        yield from _of_service(value["spec"], value["metadata"])
    elif kind.kind == "EndpointSlice" and value["addressType"] == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"


def _of_service(spec: Object, metadata: Object) -> Iterator[str]:
    kind = spec["type"]
    if TOPOLOGY_HINTS in (metadata.get("annotations") or {}):
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    if spec.get("clusterIP") == "None":
        for name in ("loadBalancerIP", "externalIPs"):
            if spec.get(name):
                yield f"spec.{name} is ignored for headless services"
        if spec["sessionAffinity"] != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    elif spec.get("externalIPs") and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if kind == "ExternalName" and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
    yield from _spellings(spec)


def _spellings(spec: Object) -> Iterator[str]:
    """IPv6 that is not written as its standard form."""
    for name in ("clusterIPs", "externalIPs", "loadBalancerSourceRanges"):
        for n, text in enumerate(spec.get(name) or []):
            yield from _spelling(f"spec.{name}[{n}]", text)
    yield from _spelling("spec.loadBalancerIP", spec.get("loadBalancerIP") or "")


def _spelling(path: str, text: str) -> Iterator[str]:
    ranged = "/" in text
    found = parse_network(text) if ranged else parse_address(text)
    if ":" in text and found is not None and str(found) != text:
        what = "CIDR value" if ranged else "address"
        yield f'{path}: IPv6 {what} "{text}" should be in RFC 5952 canonical format ("{found}")'
