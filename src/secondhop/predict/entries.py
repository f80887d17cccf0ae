"""The outside client at every entry of a Service; nodes that treat it alike are told as one.

Clusters have thousands of nodes and Services. What a Service looks like from a node hangs on few of
them: those that hold its endpoints, or that a hint names. All others, of a zone at most, are alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..model.cluster import Address, Family, Node, Service, ServicePort
from ..model.fate import Outcome
from ..model.flow import Destination, DestinationKind, Flow, Source
from .path import Paths
from .services import FAMILIES, Match, Target
from .story import outcome

_Group: TypeAlias = Mapping[str, Node]
"""Nodes by name."""


class Alike:
    """Nodes that treat a flow alike: a group, without some of its own."""

    def __init__(self, group: _Group, without: Collection[str] = ()) -> None:
        self._group = group
        self._without = frozenset(name for name in without if name in group)

    def __iter__(self) -> Iterator[Node]:
        return (node for name, node in self._group.items() if name not in self._without)

    def __len__(self) -> int:
        return len(self._group) - len(self._without)

    def has(self, name: str) -> bool:
        """Whether the node of this name is one of them."""
        return name in self._group and name not in self._without


@dataclass(frozen=True, slots=True)
class Entry:
    """One address of a service port, and the nodes through which the client fares alike there.

    address: None for a node port, which each node has at its own. outcome: through the first of
    the nodes; through the others it differs at most in the addresses that nodes lend. The client
    is one that loadBalancerSourceRanges let in, where they bar that of the cluster.
    """

    target: Target
    kind: DestinationKind
    address: Address | None
    nodes: Alike
    outcome: Outcome

    @property
    def node(self) -> Node:
        """The first of the nodes."""
        return next(iter(self.nodes))


class Entries:
    """The entries of a cluster's Services, found Service by Service."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.clients = {i.version: Source("client", "client", i.ip) for i in paths.cluster.client}
        self._groups: dict[tuple[Family, bool, bool], list[_Group]] = {}

    def of(self, service: Service) -> Iterator[Entry]:
        """Every port, family, entry and group of nodes."""
        for family in FAMILIES:
            for port in service.ports:
                target = self.target(service, port, family)
                if target is not None and family in self.clients:
                    yield from self._of_target(target)

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
        for kind, address in doors:
            match = self.claimed(target, address)
            if match is not None and match.target is target:
                for nodes in self._alike(target, address):
                    trail = self.paths.walk(self._flow(target, kind, address, next(iter(nodes))))
                    yield Entry(target, kind, address, nodes, outcome(trail))

    def _flow(
        self, target: Target, kind: DestinationKind, address: Address | None, node: Node
    ) -> Flow:
        """The client's connection through one node."""
        client, port = self.clients[target.family], target.port
        if address is not None:
            if kind == "loadBalancerIP" and not target.admits(node, client.ip):
                client = self._admitted(target, client)
            return Flow(client, Destination(kind, address, port.port, port.protocol), node.name)
        own = next(i.ip for i in node.addresses if i.version == target.family)
        return Flow(client, Destination(kind, own, port.node_port, port.protocol, node.name))

    def _admitted(self, target: Target, client: Source) -> Source:
        """A client whom loadBalancerSourceRanges let in, if they do so for anybody outside."""
        for cidr in target.ranges:
            ip = cidr[min(1, cidr.num_addresses - 1)]
            inside = self.paths.routes.host(ip) or self.paths.routes.pod_host(ip)
            if inside is None and not self.paths.proxy.from_pod(ip):
                return replace(client, ip=ip)
        return client

    def _alike(self, target: Target, address: Address | None) -> Iterator[Alike]:
        """The nodes in groups that treat the client alike, those of their own kind first."""
        routes = self.paths.routes
        special = self._special(target)
        if address is not None and (owner := routes.host(address)) is not None:
            special[owner.name] = None
        by_zone = not target.external_local and any(e.zone_hints for e in target.endpoints)
        for name in special:
            node = routes.node(name)
            if node is not None and (address is not None or node.address(target.family)):
                yield Alike({name: node})
        for group in self._grouped(target.family, own=address is None, by_zone=by_zone):
            rest = Alike(group, special)
            if len(rest):
                yield rest

    def _special(self, target: Target) -> dict[str, None]:
        """The names of nodes that the endpoints tell from others of their zone."""
        names: dict[str, None] = {}
        for endpoint in target.endpoints:
            place = self.paths.routes.place(endpoint)
            if place.node is not None and (target.external_local or place.on_host):
                names[place.node.name] = None
            if target.external_local:
                names[endpoint.node or ""] = None
            else:
                names |= dict.fromkeys(sorted(endpoint.node_hints))
        return names

    def _grouped(self, family: Family, *, own: bool, by_zone: bool) -> list[_Group]:
        """All nodes by what tells them apart whatever the Service; own: as the client dials them
        at their own addresses."""
        key = family, own, by_zone
        if key not in self._groups:
            groups: dict[object, dict[str, Node]] = {}
            for node in self.paths.cluster.nodes:
                address = node.address(family)
                if own and address is None:
                    continue
                traits = (
                    by_zone and node.zone,
                    node.excluded,
                    node.deleting,
                    address is not None and self.paths.proxy.answers_node_ports(node, address),
                )
                groups.setdefault(traits, {})[node.name] = node
            self._groups[key] = list(groups.values())
        return self._groups[key]
