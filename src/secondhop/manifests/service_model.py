"""A Service as an API server has stored it, in the model: what kube-proxy sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.cluster import Ingress, Network, Policy, Service, ServicePort, ServiceType
from .api.field import Object
from .api.syntax import addresses, parse_address, parse_network
from .resource import Resource, protocol_of

PROXY_NAME = "service.kubernetes.io/service-proxy-name"


def to_model(resource: Resource, value: Object) -> Service:
    """A Service that the API server would take, in the model."""
    spec: dict[str, Any] = value["spec"]
    kind: ServiceType = spec["type"]
    return Service(
        namespace=resource.namespace,
        name=resource.name,
        type=kind,
        ports=tuple(
            ServicePort(
                name=port.get("name") or "",
                protocol=protocol_of(port["protocol"]),
                port=port["port"],
                node_port=port.get("nodePort") or 0,
            )
            for port in spec.get("ports") or []
        ),
        cluster_ips=tuple(addresses(spec.get("clusterIPs") or [])),
        external_ips=tuple(addresses(spec.get("externalIPs") or [])),
        ingress=tuple(_ingress(resource)),
        source_ranges=_ranges(spec),
        external_traffic_policy=_policy(spec.get("externalTrafficPolicy")),
        internal_traffic_policy=_policy(spec.get("internalTrafficPolicy")),
        affinity_timeout=_affinity(spec),
        health_check_node_port=spec.get("healthCheckNodePort") or 0,
        proxy_name=resource.labels.get(PROXY_NAME),
        labels=resource.labels,
    )


def _policy(value: str | None) -> Policy:
    return "Local" if value == "Local" else "Cluster"


def _ranges(spec: Mapping[str, Any]) -> tuple[Network, ...]:
    texts = spec.get("loadBalancerSourceRanges") or []
    return tuple(found for text in texts if (found := parse_network(text.strip())))


def _affinity(spec: Mapping[str, Any]) -> int | None:
    if spec["sessionAffinity"] != "ClientIP":
        return None
    return int(spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"])


def _ingress(resource: Resource) -> list[Ingress]:
    entries = resource.get("status", "loadBalancer", "ingress") or []
    return [
        Ingress(ip, "Proxy" if entry.get("ipMode") == "Proxy" else "VIP")
        for entry in entries
        if (ip := parse_address(entry.get("ip") or ""))
    ]
