"""A Service's fields as the API server's rules look at them: what is absent is empty."""

from __future__ import annotations

from typing import Any

from .field import Object

EXTERNAL = ("LoadBalancer", "NodePort")
"""Types that have node ports, and take traffic from outside by themselves."""


class View:
    """The fields of one Service that several rules need. It does not see later changes."""

    __slots__ = (
        "external_policy",
        "families",
        "health_port",
        "ip",
        "ips",
        "metadata",
        "policy",
        "ports",
        "spec",
        "type",
    )

    def __init__(self, service: Object) -> None:
        spec: Object = service.get("spec") or {}
        self.metadata: Object = service.get("metadata") or {}
        self.spec = spec
        self.type: str = spec.get("type") or ""
        self.ports: list[Object] = spec.get("ports") or []
        self.ip: str = spec.get("clusterIP") or ""
        self.ips: list[str] = spec.get("clusterIPs") or []
        self.families: list[str] = spec.get("ipFamilies") or []
        self.policy: str | None = spec.get("ipFamilyPolicy")
        self.external_policy: str = spec.get("externalTrafficPolicy") or ""
        self.health_port: int = spec.get("healthCheckNodePort") or 0

    @property
    def headless(self) -> bool:
        """It has no clusterIP by the user's will."""
        return self.ips == ["None"]

    @property
    def has_cluster_ip(self) -> bool:
        """Its type has clusterIPs; `None` counts as one."""
        return self.type != "ExternalName"

    @property
    def accessible(self) -> bool:
        """externalTrafficPolicy means something for it."""
        return accessible(self.type, bool(self.spec.get("externalIPs")))

    @property
    def needs_health_port(self) -> bool:
        """It must have a healthCheckNodePort."""
        return needs_health_port(self.type, self.external_policy)

    @property
    def allocates(self) -> bool:
        """Ports without a node port get one."""
        if self.type == "LoadBalancer":
            return self.spec.get("allocateLoadBalancerNodePorts") is not False
        return self.type == "NodePort"

    def annotation(self, name: str) -> str | None:
        """The value of an annotation; None when it is not there, "" when it is empty."""
        annotations: dict[str, Any] = self.metadata.get("annotations") or {}
        return (annotations[name] or "") if name in annotations else None

    def node_ports(self) -> list[int]:
        """The numbers its ports say, in order; a number may occur twice."""
        return [port["nodePort"] for port in self.ports if port.get("nodePort")]

    def own_node_ports(self) -> list[int]:
        """Those that are allocated to it: the server lets an ExternalName say numbers, and takes
        none for it."""
        return self.node_ports() if self.type in EXTERNAL else []


def accessible(kind: str, external_ips: bool) -> bool:
    """Whether a Service takes traffic from outside, by its type or by its externalIPs."""
    return kind in EXTERNAL or (kind == "ClusterIP" and external_ips)


def needs_health_port(kind: str, external_policy: str) -> bool:
    """Whether a Service must have a healthCheckNodePort."""
    return kind == "LoadBalancer" and external_policy == "Local"


def copied(service: Object) -> Object:
    """A copy whose spec, ports and status may be changed without touching the original."""
    spec = dict(service.get("spec") or {})
    if spec.get("ports"):
        spec["ports"] = [dict(port) for port in spec["ports"]]
    copy = {**service, "spec": spec}
    if service.get("status"):
        copy["status"] = dict(service["status"])
    return copy
