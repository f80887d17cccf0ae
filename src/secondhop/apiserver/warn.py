"""What the API warns of, without refusing it (semantics §10.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from .kinds import Kind


def warnings(kind: Kind, new: Object, old: Object | None) -> Iterator[str]:
    """Warnings about a written object."""
    if kind.warning:
        yield kind.warning
    if kind.kind == "Service":
        yield from _of_service(new.get("spec") or {}, new["metadata"])
    if kind.kind == "EndpointSlice" and old is None and new.get("addressType") == "FQDN":
        yield ("FQDN endpoints are deprecated")


def _of_service(spec: Object, metadata: Object) -> Iterator[str]:
    if spec.get("clusterIP") == "None":
        for field, shown in (
            ("loadBalancerIP", "loadBalancerIP"),
            ("externalIPs", "externalIPs"),
        ):
            if spec.get(field):
                yield f"spec.{shown} is ignored for headless services"
        if spec.get("sessionAffinity", "None") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    elif spec.get("externalIPs") and spec.get("type") != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("type") == "ExternalName" and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("type") != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
    hints = "service.kubernetes.io/topology-aware-hints"
    if hints in (metadata.get("annotations") or {}):
        yield (
            f"annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode "
            "instead"
        )
