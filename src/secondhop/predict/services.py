"""Which service port owns an address and port: the tables every node's kube-proxy builds."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from ..model.cluster import (
    Address,
    Cluster,
    Endpoint,
    Family,
    Ingress,
    Network,
    Node,
    Protocol,
    Service,
    ServicePort,
)
from ..model.version import KubeVersion
from .endpoints import Listed, Usable, usable

Entrance: TypeAlias = Literal["clusterIP", "externalIP", "loadBalancerIP", "nodePort"]

FAMILIES: tuple[Family, Family] = (4, 6)


class Target:
    """A service port as one family's kube-proxy sees it (semantics §1.1).

    external_local, internal_local: whether the Local policy is in force for traffic from outside
    and for the cluster IP. ranges: loadBalancerSourceRanges of the family; empty: unrestricted.
    """

    def __init__(self, cluster: Cluster, service: Service, port: ServicePort, family: Family):
        self.service = service
        self.port = port
        self.family: Family = family
        self.name = service.port_name(port)
        self.endpoints = as_read(cluster.endpoints_of(service, port, family), cluster.kube_version)
        self.external_ips = tuple(ip for ip in service.external_ips if ip.version == family)
        self.vips = tuple(
            i.ip
            for i in service.ingress
            if i.ip.version == family and is_captured(i, cluster.kube_version)
        )
        self.ranges = restrictions(service, family)
        self.external_local = service.external_traffic_policy == "Local" and (
            service.type in ("NodePort", "LoadBalancer") or bool(service.external_ips)
        )
        self.internal_local = (
            service.internal_traffic_policy == "Local"
            and cluster.kube_version.has("internalTrafficPolicy")
        )

    @cached_property
    def listed(self) -> Listed:
        """Its endpoints, filed."""
        return Listed(self.endpoints)

    @property
    def accessible(self) -> bool:
        """Whether it can be reached from outside the cluster at all."""
        return bool(self.port.node_port or self.vips or self.external_ips)

    def usable(self, node: Node) -> Usable:
        """Its endpoints as that node uses them."""
        return usable(
            self.listed,
            node,
            uses_cluster=not self.internal_local or self.accessible,
            uses_local=self.internal_local or (self.external_local and self.accessible),
        )

    def admits(self, node: Node, source: Address) -> bool:
        """Whether loadBalancerSourceRanges let the source in. A node inside a range also admits
        the load balancer IPs themselves, for hosts that own one (§7)."""
        if not self.ranges or any(source in cidr for cidr in self.ranges):
            return True
        internal = node.address(self.family)
        return (
            source in self.vips
            and internal is not None
            and any(internal in cidr for cidr in self.ranges)
        )


def as_read(endpoints: tuple[Endpoint, ...], version: KubeVersion) -> tuple[Endpoint, ...]:
    """The endpoints with as much of their slices as kube-proxy of that release reads (§15)."""
    unread: dict[str, Any] = {}
    if not version.has("terminating fallback"):
        unread["terminating"] = False
    if not version.has("topology hints"):
        unread["zone_hints"] = frozenset()
    if not version.has("node hints"):
        unread["node_hints"] = frozenset()
    return tuple(replace(e, **unread) for e in endpoints) if unread else endpoints


def is_captured(ingress: Ingress, version: KubeVersion) -> bool:
    """Whether kube-proxy itself serves this load balancer IP (§7); before ipMode it always did."""
    return ingress.mode == "VIP" or not version.has("ipMode")


def restrictions(service: Service, family: Family) -> tuple[Network, ...]:
    """Source ranges in force for a family: a zero-length prefix lifts them (§1.1)."""
    ranges = tuple(n for n in service.source_ranges if n.version == family)
    return () if any(n.prefixlen == 0 for n in ranges) else ranges


class Match(NamedTuple):
    """The service port a packet is for, and through which of its addresses."""

    target: Target
    entrance: Entrance


class ServiceTable:
    """All service ports of a cluster by the addresses and ports they answer to.

    Where two claim one address, port and protocol, Kubernetes leaves the winner open; here it is
    the first in the cluster's order.
    """

    def __init__(self, cluster: Cluster):
        self.by_address: dict[tuple[Address, int, Protocol], Match] = {}
        self.by_node_port: dict[tuple[Family, int, Protocol], Match] = {}
        self.by_cluster_ip: dict[Address, Service] = {}
        self.by_proxied_ip: dict[Address, Service] = {}
        self.by_health_port: dict[tuple[Family, int], list[Target]] = {}
        self._guarded_first = cluster.proxy.mode == "nftables"
        for service in cluster.services:
            if service.type == "ExternalName" or service.proxy_name is not None:
                continue
            for ingress in service.ingress:
                if not is_captured(ingress, cluster.kube_version):
                    self.by_proxied_ip.setdefault(ingress.ip, service)
            for family in FAMILIES:
                cluster_ip = service.cluster_ip(family)
                if cluster_ip is not None:
                    self.by_cluster_ip.setdefault(cluster_ip, service)
                    for port in service.ports:
                        self._add(Target(cluster, service, port, family), cluster_ip)

    def _add(self, target: Target, cluster_ip: Address) -> None:
        port, protocol = target.port, target.port.protocol
        # An address that is both: nftables asks the source ranges before anything, and iptables has
        # the external IP's rule first (§3.4).
        outside: list[tuple[Address, Entrance]] = [(ip, "externalIP") for ip in target.external_ips]
        vips: list[tuple[Address, Entrance]] = [(ip, "loadBalancerIP") for ip in target.vips]
        both = [*vips, *outside] if self._guarded_first else [*outside, *vips]
        for ip, entrance in [(cluster_ip, "clusterIP"), *both]:
            self.by_address.setdefault((ip, port.port, protocol), Match(target, entrance))
        if port.node_port:
            key = (target.family, port.node_port, protocol)
            self.by_node_port.setdefault(key, Match(target, "nodePort"))
        if has_health_check(target.service):
            health = (target.family, target.service.health_check_node_port)
            self.by_health_port.setdefault(health, []).append(target)


def has_health_check(service: Service) -> bool:
    """Whether kube-proxy listens on its healthCheckNodePort (§6.1)."""
    return (
        service.health_check_node_port != 0
        and service.type == "LoadBalancer"
        and service.external_traffic_policy == "Local"
    )
