"""Every source times every destination: the flows of `explain --all` and what becomes of them.

A hundred nodes and Services make millions of flows, most of which nothing but an address tells
apart: those are predicted once and told as one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..model.cluster import Address, Cluster, Family, Node, Service, ServicePort
from ..model.fate import Fate, Outcome
from ..model.flow import Destination, DestinationKind, Flow, Source, entry_nodes
from .path import Paths
from .services import FAMILIES, has_health_check
from .story import outcome
from .trail import Trail

POD_OFFSET = 250

Vias: TypeAlias = tuple[str | None, ...]
Sources: TypeAlias = tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Flows that share a fate: each of the sources by each of the vias.

    outcome: without steps, of the first source. varies: whether the other sources' outcomes
    differ in the addresses and nodes they name; otherwise it is theirs to the letter.
    """

    service: Service
    sources: Sources
    destination: Destination
    vias: Vias
    outcome: Outcome
    varies: bool

    @property
    def entries(self) -> tuple[str, ...]:
        """The node through which it enters; none where each sender's own serves it."""
        return entry_nodes(self.destination, self.vias)


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow of the table and its outcome, without steps."""

    service: Service
    flow: Flow
    outcome: Outcome


def rows(cluster: Cluster, services: Iterable[Service] | None = None) -> Iterator[Row]:
    """The table of these Services, or of all, in rows of flows that share their fate.

    Sources are the client, one pod on each node and each node itself; no flow comes twice.
    """
    return Matrix(Paths(cluster)).rows(cluster.services if services is None else services)


def cells(cluster: Cluster, services: Iterable[Service] | None = None) -> Iterator[Cell]:
    """The same table flow by flow: one for each source, destination kind, address, port, protocol
    and via."""
    matrix = Matrix(Paths(cluster))
    for row in matrix.rows(cluster.services if services is None else services):
        for source in row.sources:
            for via in row.vias:
                flow = Flow(source, row.destination, via)
                yield Cell(row.service, flow, matrix.exact(row, source, via))


class Matrix:
    """The table of one cluster, written Service by Service.

    nodes: through which to enter, and from which to send, if not all. inside: whether to send from
    nodes and their pods at all.
    """

    def __init__(self, paths: Paths, nodes: tuple[Node, ...] | None = None, *, inside: bool = True):
        self.paths = paths
        self.nodes = paths.cluster.nodes if nodes is None else nodes
        self.client: dict[Family, Sources] = {}
        self.inside: dict[Family, Sources] = {}
        for family in FAMILIES:
            self.client[family] = tuple(
                Source("client", "client", i.ip)
                for i in paths.cluster.client
                if i.version == family
            )
            senders = self.nodes if inside else ()
            pods = (pod_source(node, family, paths.pod_addresses) for node in senders)
            hosts = (node_source(node, family) for node in senders)
            self.inside[family] = tuple(s for s in (*pods, *hosts) if s is not None)
        self._views: dict[tuple[str, Family], list[Sources]] = {}
        self._told: set[Destination] = set()

    def rows(self, services: Iterable[Service]) -> Iterator[Row]:
        """All rows of some Services, in both families."""
        for service in services:
            for family in FAMILIES:
                cluster_ip = service.cluster_ip(family)
                if cluster_ip is None:
                    continue
                for port in service.ports:
                    yield from self._of_port(service, port, family, cluster_ip)
                if has_health_check(service):
                    yield from self._health_checks(service, family)

    def exact(self, row: Row, source: Source, via: str | None) -> Outcome:
        """The outcome of one flow of a row, to the letter."""
        if not row.varies:
            return row.outcome
        return outcome(self.paths.walk(Flow(source, row.destination, via)))

    def _of_port(
        self, service: Service, port: ServicePort, family: Family, cluster_ip: Address
    ) -> Iterator[Row]:
        if port.node_port:
            for node in self.nodes:
                yield from self._node_port(service, port, family, node)
        addresses: list[tuple[DestinationKind, Address]] = [
            *(("loadBalancerIP", ingress.ip) for ingress in service.ingress),
            *(("externalIP", ip) for ip in service.external_ips),
        ]
        for kind, address in addresses:
            if address.version == family:
                destination = Destination(kind, address, port.port, port.protocol)
                yield from self._brought_by_via(service, destination, family)
        destination = Destination("clusterIP", cluster_ip, port.port, port.protocol)
        if self._is_new(destination):
            yield from self._alike(service, self.client[family], destination, (None,))
            for group in self._like_homes(self.inside[family], destination):
                yield self._at_home(service, group, destination, (None,))

    def _node_port(
        self, service: Service, port: ServicePort, family: Family, node: Node
    ) -> Iterator[Row]:
        """From everybody to one node's port."""
        address = node.address(family)
        if address is None:
            return
        destination = Destination("nodePort", address, port.node_port, port.protocol, node.name)
        everybody = self.client[family] + self.inside[family]
        if not everybody or not self._is_new(destination):
            return
        if service.external_traffic_policy == "Cluster":
            trail = self.paths.walk(Flow(everybody[0], destination))
            if self._same_for_all(trail):
                yield Row(service, everybody, destination, (None,), outcome(trail), False)
                return
        groups = self._views.get((node.name, family))
        if groups is None:
            groups = self._views[node.name, family] = self._seen_from(node, everybody)
        for group in groups:
            yield from self._alike(service, group, destination, (None,))

    def _brought_by_via(
        self, service: Service, destination: Destination, family: Family
    ) -> Iterator[Row]:
        """From everybody to an address that the network brings to a node: once for each node.
        Whom kube-proxy serves where it is does not mind which."""
        if not self.nodes or not self._is_new(destination):
            return
        vias = tuple(node.name for node in self.nodes)
        escaping: Sources = ()
        for group in self._like_homes(self.inside[family], destination):
            if self.paths.walk(Flow(group[0], destination, vias[0])).routed:
                escaping += group
            else:
                yield self._at_home(service, group, destination, vias)
        for node in self.nodes:
            for group in self._seen_from(node, self.client[family] + escaping):
                yield from self._alike(service, group, destination, (node.name,))

    def _health_checks(self, service: Service, family: Family) -> Iterator[Row]:
        """From the client, who stands for the load balancer."""
        port = service.health_check_node_port
        for node in self.nodes:
            address = node.address(family)
            if address is not None:
                destination = Destination("healthCheckNodePort", address, port, "TCP", node.name)
                if self._is_new(destination):
                    yield from self._alike(service, self.client[family], destination, (None,))

    def _alike(
        self, service: Service, sources: Sources, destination: Destination, vias: Vias
    ) -> Iterator[Row]:
        """One row for senders that one node treats alike, if there are any."""
        if sources:
            trail = self.paths.walk(Flow(sources[0], destination, vias[0]))
            varies = len(sources) > 1 and not _hides_sender(trail)
            yield Row(service, sources, destination, vias, outcome(trail), varies)

    def _at_home(
        self, service: Service, sources: Sources, destination: Destination, vias: Vias
    ) -> Row:
        """One row for senders each of which its own node treats like the others theirs."""
        first = outcome(self.paths.walk(Flow(sources[0], destination, vias[0])))
        return Row(service, sources, destination, vias, first, len(sources) > 1)

    def _seen_from(self, entry: Node, sources: Sources) -> list[Sources]:
        """Senders as the entry node tells them apart: its own pod, itself, pods that come with
        their own address, and outsiders, among them what flannel masquerades."""
        pods_come_masked = self.paths.cluster.cni.masquerade
        groups: dict[str, list[Source]] = {}
        for source in sources:
            if source.node == entry.name:
                key = f"{source.kind} here"
            else:
                key = "pod" if source.kind == "pod" and not pods_come_masked else "outsider"
            groups.setdefault(key, []).append(source)
        return [tuple(group) for group in groups.values()]

    def _like_homes(self, sources: Sources, destination: Destination) -> list[Sources]:
        """Senders whose own nodes see the same endpoints in the same places."""
        proxy, place = self.paths.proxy, self.paths.routes.place
        key = (destination.address, destination.port, destination.protocol)
        match = proxy.services.by_address.get(key)
        groups: dict[object, list[Source]] = {}
        for source in sources:
            node = self.paths.node(source.node or "")
            traits: tuple[object, ...] = (source.kind, proxy.from_pod(source.ip))
            if match is not None:
                usable = match.target.usable(node)
                here = [e for e in match.target.endpoints if place(e).node is node]
                lists = (usable.cluster, usable.local, here)
                traits += tuple(tuple(place(e).label for e in group) for group in lists)
                traits += (match.target.admits(node, source.ip),)
                traits += (self.paths.placements.same_fate([match.target.name], node),)
            groups.setdefault(traits, []).append(source)
        return [tuple(group) for group in groups.values()]

    def _same_for_all(self, trail: Trail) -> bool:
        """Whether every sender to a node port has this outcome under policy Cluster: nobody is
        served, or the source is replaced. What looks like the NIC is the exception: it is the very
        address that the node itself sends from."""
        match = trail.hops[-1].verdict.match
        if match is None or match.entrance != "nodePort":
            return match is None and trail.fate is Fate.CLOSED
        hosts = [self.paths.routes.host(d.source) for d in trail.deliveries]
        return _hides_sender(trail) and not any(hosts)

    def _is_new(self, destination: Destination) -> bool:
        """Two Services may claim one address and port: it is told once."""
        if destination in self._told:
            return False
        self._told.add(destination)
        return True


def pod_source(node: Node, family: Family, taken: frozenset[Address]) -> Source | None:
    """A pod of `node` that is nobody's endpoint: address 250 of its pod CIDR, or the next free one
    below; None where there is none."""
    cidr = node.pod_cidr(family)
    if cidr is None:
        return None
    for offset in range(min(POD_OFFSET, cidr.num_addresses - 2), 1, -1):
        if cidr[offset] not in taken:
            return Source("pod", f"pod@{node.name}", cidr[offset], node.name)
    return None


def node_source(node: Node, family: Family) -> Source | None:
    """A process of the node itself."""
    address = node.address(family)
    return None if address is None else Source("node", node.name, address, node.name)


def _hides_sender(trail: Trail) -> bool:
    """Whether no pod sees anything of the sender."""
    return all(delivery.replaced for delivery in trail.deliveries)
