"""NetworkPolicy objects to the model: what their ingress rules say of addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model.policy import (
    IngressRule,
    IPBlock,
    NetworkPolicy,
    PolicyPort,
)
from .problems import Path
from .resource import Resource, protocol_of


def read_policies(resources: Iterable[Resource]) -> Iterator[NetworkPolicy]:
    """The policies that isolate pods from what comes in. Mistakes are refused on the resource."""
    for resource in resources:
        types = resource.get("spec", "policyTypes") or ["Ingress"]
        if "Ingress" not in types:
            continue
        rules = resource.get("spec", "ingress") or []
        yield NetworkPolicy(
            namespace=resource.namespace,
            name=resource.name,
            selector=resource.get("spec", "podSelector") or {},
            rules=tuple(_rule(resource, n, rule or {}) for n, rule in enumerate(rules)),
        )


def _rule(resource: Resource, number: int, rule: Mapping[str, Any]) -> IngressRule:
    peers = rule.get("from") or []
    blocks = (
        _block(resource, ("spec", "ingress", number, "from", n, "ipBlock"), peer["ipBlock"])
        for n, peer in enumerate(peers)
        if peer.get("ipBlock")
    )
    return IngressRule(
        blocks=tuple(block for block in blocks if block is not None),
        ports=tuple(
            PolicyPort(protocol_of(port.get("protocol")), port.get("port"), port.get("endPort"))
            for port in rule.get("ports") or []
        ),
        everybody=not peers,
    )


def _block(resource: Resource, path: Path, value: Mapping[str, Any]) -> IPBlock | None:
    cidr = resource.network((*path, "cidr"), value["cidr"])
    excluded = [
        resource.network((*path, "except", n), text)
        for n, text in enumerate(value.get("except") or [])
    ]
    if cidr is None:
        return None
    return IPBlock(cidr, tuple(part for part in excluded if part is not None))
