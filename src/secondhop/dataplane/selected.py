"""A service port as one node sees it in one family: its addresses, and the endpoints it may use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model.cluster import (
    Address,
    Cluster,
    Endpoint,
    Family,
    Network,
    Node,
    Service,
    ServicePort,
)


@dataclass(frozen=True, slots=True)
class Selected:
    """A service port with the endpoints that this node uses for it (semantics §2.1)."""

    service: Service
    port: ServicePort
    family: Family
    cluster_ip: Address
    cluster: tuple[Endpoint, ...]
    """For policy Cluster, and for what starts on this node or in its pods."""
    local: tuple[Endpoint, ...]
    """For policy Local."""
    anywhere: bool
    """Some usable endpoint exists in the cluster."""

    def __str__(self) -> str:
        return str(self.service.port_name(self.port))

    @property
    def protocol(self) -> str:
        """As iptables and nft spell it."""
        return self.port.protocol.lower()

    @property
    def external_ips(self) -> tuple[Address, ...]:
        """`spec.externalIPs` of this family."""
        return tuple(ip for ip in self.service.external_ips if ip.version == self.family)

    @property
    def load_balancer_ips(self) -> tuple[Address, ...]:
        """The load balancer's addresses that kube-proxy captures: ipMode VIP (semantics §1.1)."""
        every = self.service.ingress
        return tuple(i.ip for i in every if i.mode == "VIP" and i.ip.version == self.family)

    @property
    def source_ranges(self) -> tuple[Network, ...]:
        """Who may use the load balancer's addresses; empty for everybody, which a range of zero
        length and ranges of the other family alone also mean (semantics §1.1)."""
        ranges = tuple(n for n in self.service.source_ranges if n.version == self.family)
        return () if any(n.prefixlen == 0 for n in ranges) else ranges

    @property
    def accessible(self) -> bool:
        """Something outside the cluster may dial it: by values present, not by type."""
        return bool(self.port.node_port or self.load_balancer_ips or self.external_ips)

    @property
    def internal_local(self) -> bool:
        """Traffic to the cluster IP stays on this node."""
        return self.service.internal_traffic_policy == "Local"

    @property
    def external_local(self) -> bool:
        """Outside traffic stays on this node: the field counts only where the Service's type or
        external IPs let anything in (semantics §1.1)."""
        service = self.service
        counts = service.type in ("NodePort", "LoadBalancer") or bool(service.external_ips)
        return service.external_traffic_policy == "Local" and counts

    @property
    def uses_cluster(self) -> bool:
        """Some traffic class is served from the cluster's list."""
        return not self.internal_local or self.accessible

    @property
    def uses_local(self) -> bool:
        """Some traffic class is served from this node's list."""
        return self.internal_local or (self.external_local and self.accessible)

    @property
    def inside(self) -> tuple[Endpoint, ...]:
        """What serves the cluster IP."""
        return self.local if self.internal_local else self.cluster

    @property
    def outside(self) -> tuple[Endpoint, ...]:
        """What serves clients outside that dial a node port, a load balancer IP, an external IP."""
        return self.local if self.external_local else self.cluster

    @property
    def health_check_port(self) -> int:
        """healthCheckNodePort where it counts: type LoadBalancer under policy Local; else 0."""
        counts = self.service.type == "LoadBalancer" and self.external_local
        return self.service.health_check_node_port if counts else 0


def selected_ports(cluster: Cluster, node: Node, family: Family) -> Iterator[Selected]:
    """Every service port that the node's proxy of this family looks at."""
    for service, port, cluster_ip in service_ports(cluster, family):
        yield select(cluster, node, family, service, port, cluster_ip)


def service_ports(
    cluster: Cluster, family: Family
) -> Iterator[tuple[Service, ServicePort, Address]]:
    """Service ports that the proxies of this family look at (semantics §1.1), and the address of
    the family that makes them do so."""
    for service in cluster.services:
        cluster_ip = service.cluster_ip(family)
        if cluster_ip is None or service.type == "ExternalName" or service.proxy_name is not None:
            continue
        for port in service.ports:
            yield service, port, cluster_ip


def select(
    cluster: Cluster,
    node: Node,
    family: Family,
    service: Service,
    port: ServicePort,
    cluster_ip: Address,
) -> Selected:
    """One service port with the endpoints that the node uses for it."""
    usable = _usable(cluster.endpoints_of(service, port, family), node)
    return Selected(service, port, family, cluster_ip, *usable)


def _usable(
    every: Sequence[Endpoint], node: Node
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...], bool]:
    """The cluster's list, this node's list, and whether anything is usable at all: ready
    endpoints, or if a list has none those that still serve while they terminate (semantics §2.1).

    Topology narrows only the ready ones of the cluster's list.
    """
    ready = [e for e in every if e.ready]
    leaving = [e for e in every if e.serving and e.terminating]
    here = [e for e in ready if e.node == node.name]
    leaving_here = [e for e in leaving if e.node == node.name]
    return tuple(_near(ready, node) or leaving), tuple(here or leaving_here), bool(ready or leaving)


def _near(ready: Sequence[Endpoint], node: Node) -> Sequence[Endpoint]:
    """The ready endpoints that topology hints leave to this node: node hints, else zone hints,
    each only if every ready endpoint carries them and some name us."""
    if all(e.node_hints for e in ready):
        mine = [e for e in ready if node.name in e.node_hints]
        if mine:
            return mine
    if all(e.zone_hints for e in ready):
        mine = [e for e in ready if node.zone in e.zone_hints]
        if mine:
            return mine
    return ready
