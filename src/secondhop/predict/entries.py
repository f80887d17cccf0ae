"""The outside client at every entry of a Service; nodes that treat it alike are told as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..model.cluster import Address, Family, Node, Service, ServicePort
from ..model.fate import Outcome
from ..model.flow import Destination, DestinationKind, Flow, Source
from .alike import Alike, Roles
from .path import Paths
from .services import FAMILIES, Match, Target
from .story import outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """One address of a service port, and the nodes through which the client fares alike there.

    address: None for a node port, which each node has at its own. outcome: through the first of
    the nodes; through the others it differs at most in names and addresses. own: each node hands
    connections to pods of its own.
    """

    target: Target
    kind: DestinationKind
    address: Address | None
    nodes: Alike
    outcome: Outcome
    own: bool

    @property
    def node(self) -> Node:
        """The first of the nodes."""
        return self.nodes.first

    def alone(self) -> Entry:
        """The same through the first of the nodes only."""
        return replace(self, nodes=Alike({self.node.name: self.node}))

    def shares(self) -> Iterator[tuple[str, float]]:
        """Pods, by name or else by address, and what they get of connections that come evenly
        through all the nodes. A pod may be told several times."""
        told = self.outcome.backends
        if not self.own or len(self.nodes) == 1:
            yield from ((backend.pod or backend.address, backend.share) for backend in told)
        elif told:
            for node in self.nodes:
                for endpoint in self.target.usable(node).local:
                    yield endpoint.pod or str(endpoint), told[0].share / len(self.nodes)


class Entries:
    """The entries of a cluster's Services, found Service by Service.

    admitted: where loadBalancerSourceRanges bar the cluster's client, speak for one they let in.
    """

    def __init__(self, paths: Paths, *, admitted: bool = False) -> None:
        self.paths = paths
        self.admitted = admitted
        self.roles = Roles(paths)
        self.clients = {i.version: Source("client", "client", i.ip) for i in paths.cluster.client}

    def of(self, service: Service) -> Iterator[Entry]:
        """Every port, family, entry and group of nodes."""
        for family in FAMILIES:
            for port in service.ports:
                target = self.target(service, port, family)
                if target is not None and target.accessible and family in self.clients:
                    yield from self._of_target(target)

    def apart(self, entry: Entry) -> Iterator[Entry]:
        """The same in entries whose nodes hand on to the same pods, each with what they do."""
        if not entry.own or len(entry.nodes) == 1:
            yield entry
            return
        for node in entry.nodes:
            flow = self._flow(entry.target, entry.kind, entry.address, node)
            if flow is not None:
                told = outcome(self.paths.walk(flow))
                yield replace(entry, nodes=Alike({node.name: node}), outcome=told)

    def target(self, service: Service, port: ServicePort, family: Family) -> Target | None:
        """The port as kube-proxy sees it; None if it does not."""
        cluster_ip = service.cluster_ip(family)
        if cluster_ip is None:
            return None
        key = cluster_ip, port.port, port.protocol
        match = self.paths.proxy.services.by_address.get(key)
        return match.target if match is not None and match.target.service is service else None

    def claimed(self, target: Target, address: Address | None) -> Match | None:
        """Whom kube-proxy serves at an address of this target, None for its node port."""
        services, port = self.paths.proxy.services, target.port
        if address is None:
            return services.by_node_port.get((target.family, port.node_port, port.protocol))
        return services.by_address.get((address, port.port, port.protocol))

    def _of_target(self, target: Target) -> Iterator[Entry]:
        doors: list[tuple[DestinationKind, Address | None]] = [
            *(("loadBalancerIP", ip) for ip in target.vips),
            *(("externalIP", ip) for ip in target.external_ips),
        ]
        if target.port.node_port:
            doors.append(("nodePort", None))
        own, groups = self.roles.own(target), self.roles.groups(target)
        for kind, address in doors:
            match = self.claimed(target, address)
            if match is None or match.target is not target:
                continue
            owned = address is not None and self.paths.routes.host(address) is not None
            for nodes in groups:
                flow = self._flow(target, kind, address, nodes.first)
                if flow is not None:
                    told = outcome(self.paths.walk(flow))
                    yield Entry(target, kind, address, nodes, told, own and not owned)

    def _flow(
        self, target: Target, kind: DestinationKind, address: Address | None, node: Node
    ) -> Flow | None:
        """The client's connection through one node; None if the node has no address to dial."""
        client, port, protocol = self.clients[target.family], target.port, target.port.protocol
        if address is None:
            own = node.address(target.family)
            if own is None:
                return None
            return Flow(client, Destination(kind, own, port.node_port, protocol, node.name))
        if self.admitted and kind == "loadBalancerIP" and not target.admits(node, client.ip):
            client = self._admitted(target, client)
        return Flow(client, Destination(kind, address, port.port, protocol), node.name)

    def _admitted(self, target: Target, client: Source) -> Source:
        """A client whom loadBalancerSourceRanges let in, if they do so for anybody outside."""
        for cidr in target.ranges:
            ip = cidr[min(1, cidr.num_addresses - 1)]
            inside = self.paths.routes.host(ip) or self.paths.routes.pod_host(ip)
            if inside is None and not self.paths.proxy.from_pod(ip):
                return replace(client, ip=ip)
        return client
