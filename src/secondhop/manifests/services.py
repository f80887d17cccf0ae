"""Service objects to the model, as the API server would store them (semantics §1.1, §1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..model.cluster import Ingress, Network, Policy, Service, ServicePort, ServiceType
from .api.default import default_service
from .api.field import Object
from .api.syntax import addresses, parse_address, parse_network
from .api.update import synced
from .api.values import TOPOLOGY_HINTS, TOPOLOGY_MODE
from .api.view import View
from .problems import Path
from .resource import Resource, protocol_of
from .service_rules import check

PROXY_NAME = "service.kubernetes.io/service-proxy-name"


class Declared(NamedTuple):
    """A Service of the input.

    service_object: with its defaults and, after `allocated`, with what the API server chose;
    service: the same in the model. targets: `targetPort` of each port.
    """

    resource: Resource
    service_object: Object
    service: Service
    selector: Mapping[str, str]
    targets: tuple[int | str, ...]
    publish_not_ready: bool
    distribution: str

    @property
    def headless(self) -> bool:
        """clusterIP None: kube-proxy does not see it."""
        return View(self.service_object).headless


class Unsound(NamedTuple):
    """A Service that the API server would refuse, for these of its fields at least."""

    resource: Resource
    service_object: Object
    fields: frozenset[Path]


def read_service(resource: Resource) -> Declared | Unsound:
    """The Service of a resource; refusals are problems."""
    given: Object = resource.document.object
    metadata = {**given["metadata"], "namespace": resource.namespace}
    value = synced(default_service({**given, "metadata": metadata}))
    if fields := check(resource, value):
        return Unsound(resource, value, fields)
    spec: dict[str, Any] = value["spec"]
    return Declared(
        resource=resource,
        service_object=value,
        service=to_model(resource, value),
        selector={} if spec["type"] == "ExternalName" else spec.get("selector") or {},
        targets=tuple(port["targetPort"] for port in spec.get("ports") or []),
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        distribution=_distribution(View(value)),
    )


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


def _distribution(view: View) -> str:
    """How hints are to be given: a trafficDistribution, `Auto` (topology-mode wins), or nothing."""
    if {"Auto", "auto"} & {view.annotation(TOPOLOGY_MODE), view.annotation(TOPOLOGY_HINTS)}:
        return "Auto"
    return view.spec.get("trafficDistribution") or ""
