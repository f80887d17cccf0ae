"""Service objects to the model, after the API server's defaulting (semantics §1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from ..model.cluster import (
    Address,
    Family,
    Ingress,
    Network,
    Policy,
    Service,
    ServicePort,
    ServiceType,
)
from .resource import Resource, protocol_of
from .service_rules import check

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
TOPOLOGY_MODES = (
    "service.kubernetes.io/topology-mode",
    "service.kubernetes.io/topology-aware-hints",
)
_AFFINITY_SECONDS = 10800


class Declared(NamedTuple):
    """A Service as its object declares it: addresses and ports that the API server would choose
    are still missing.

    wanted: families of the clusterIPs it shall have, in order; empty for the cluster's first.
    allocate: whether its ports get node ports. targets: `targetPort` of each port.
    """

    resource: Resource
    service: Service
    wanted: tuple[Family, ...]
    dual: bool
    allocate: bool
    selector: Mapping[str, str]
    targets: tuple[int | str, ...]
    publish_not_ready: bool
    distribution: str

    @property
    def headless(self) -> bool:
        """clusterIP None: kube-proxy does not see it."""
        return self.resource.get("spec", "clusterIP") == "None" or "None" in (
            self.resource.get("spec", "clusterIPs") or []
        )


def read_service(resource: Resource) -> Declared | None:
    """The Service of a resource; None, and problems, if the API server would refuse it."""
    if not check(resource):
        return None
    spec: dict[str, Any] = resource.get("spec") or {}
    kind = _type(spec)
    ports = spec.get("ports") or []
    families: list[Family] = [4 if f == "IPv4" else 6 for f in spec.get("ipFamilies") or []]
    service = Service(
        namespace=resource.namespace,
        name=resource.name,
        type=kind,
        ports=tuple(
            ServicePort(
                name=port.get("name") or "",
                protocol=protocol_of(port.get("protocol")),
                port=port["port"],
                node_port=port.get("nodePort") or 0,
            )
            for port in ports
        ),
        cluster_ips=_cluster_ips(spec),
        external_ips=tuple(ip_address(ip) for ip in spec.get("externalIPs") or []),
        ingress=tuple(_ingress(resource)),
        source_ranges=_ranges(spec),
        external_traffic_policy=_policy(spec.get("externalTrafficPolicy")),
        internal_traffic_policy=_policy(spec.get("internalTrafficPolicy")),
        affinity_timeout=_affinity(spec),
        health_check_node_port=spec.get("healthCheckNodePort") or 0,
        proxy_name=resource.labels.get(PROXY_NAME),
        labels=resource.labels,
    )
    return Declared(
        resource=resource,
        service=service,
        wanted=tuple(families),
        dual=spec.get("ipFamilyPolicy") in ("PreferDualStack", "RequireDualStack"),
        allocate=kind == "NodePort"
        or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False),
        selector={} if kind == "ExternalName" else spec.get("selector") or {},
        targets=tuple(port.get("targetPort") or port["port"] for port in ports),
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        distribution=_distribution(resource),
    )


def _type(spec: Mapping[str, Any]) -> ServiceType:
    kind: ServiceType = spec.get("type") or "ClusterIP"
    return kind


def _policy(value: str | None) -> Policy:
    return "Local" if value == "Local" else "Cluster"


def _cluster_ips(spec: Mapping[str, Any]) -> tuple[Address, ...]:
    """`clusterIPs`, whose first is `clusterIP`; none when headless."""
    texts = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return tuple(ip_address(text) for text in texts if text and text != "None")


def _ranges(spec: Mapping[str, Any]) -> tuple[Network, ...]:
    texts = spec.get("loadBalancerSourceRanges") or []
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


def _affinity(spec: Mapping[str, Any]) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = client_ip.get("timeoutSeconds")
    return _AFFINITY_SECONDS if seconds is None else int(seconds)


def _ingress(resource: Resource) -> list[Ingress]:
    entries = resource.get("status", "loadBalancer", "ingress") or []
    return [
        Ingress(ip_address(entry["ip"]), "Proxy" if entry.get("ipMode") == "Proxy" else "VIP")
        for entry in entries
        if entry.get("ip")
    ]


def _distribution(resource: Resource) -> str:
    """How hints are to be given: a trafficDistribution, `Auto` (topology-mode wins), or nothing."""
    annotations = resource.get("metadata", "annotations") or {}
    if any(annotations.get(name) in ("Auto", "auto") for name in TOPOLOGY_MODES):
        return "Auto"
    return resource.get("spec", "trafficDistribution") or ""
