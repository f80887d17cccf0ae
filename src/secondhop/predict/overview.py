"""The outside client at every entry of Services: its rows of the table, but of many nodes that are
alike there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..model.cluster import Address, Cluster, Family, Node, Protocol, Service
from ..model.fate import Outcome
from ..model.flow import Destination, DestinationKind, Flow, Source
from .alike import Alike, Names, Roles
from .matrix import Row
from .path import Paths
from .services import FAMILIES, Match, Target, has_health_check
from .story import outcome

_FEW = 3

_Dial: TypeAlias = Callable[[Node], Flow | None]
"""The client's flow through a node, if it has one."""


@dataclass(frozen=True, slots=True)
class Through:
    """Flows of the client through more nodes than a report would name. destination, vias, outcome:
    of the first of the entries; those of the others differ in names and addresses only."""

    service: Service
    sources: tuple[Source, ...]
    destination: Destination
    vias: tuple[str | None, ...]
    outcome: Outcome
    entries: Names


def overview(cluster: Cluster, services: Iterable[Service]) -> Iterator[Row | Through]:
    """What the table says of the client at these Services, their cluster IPs aside."""
    found = _Overview(Paths(cluster))
    for service in services:
        for family in FAMILIES:
            if service.cluster_ip(family) is not None:
                for client in found.clients:
                    if client.ip.version == family:
                        yield from found.of(service, family, client)


class _Overview:
    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.roles = Roles(paths, by_hops=True)
        self.clients = [Source("client", "client", i.ip) for i in paths.cluster.client]

    def of(self, service: Service, family: Family, client: Source) -> Iterator[Row | Through]:
        """The entries of each port, then the health check."""
        services = self.paths.proxy.services
        for port in service.ports:
            if number := port.node_port:
                dial = _own(client, "nodePort", number, port.protocol)
                match = services.by_node_port.get((family, number, port.protocol))
                yield from self._through(service, dial, self._groups(match, family))
            for kind, address in _brought(service, family):
                dial = _by(client, Destination(kind, address, port.port, port.protocol))
                match = services.by_address.get((address, port.port, port.protocol))
                owner = self.paths.routes.host(address)  # to whom it is brought, whatever the via
                known = owner and self.roles.grouped({owner.name: "owner"}, family)
                yield from self._through(service, dial, known or self._groups(match, family))
        if has_health_check(service):
            number = service.health_check_node_port
            targets = services.by_health_port.get((family, number), [])
            roles = self.roles.by_doubt([target.name for target in targets], _ready(targets))
            groups = self.roles.grouped(roles, family)
            yield from self._through(service, _own(client, "healthCheckNodePort", number), groups)

    def _groups(self, match: Match | None, family: Family) -> list[Alike]:
        """The nodes that treat alike what is for this service port, or for none."""
        if match is None:
            return self.roles.grouped({}, family)
        return self.roles.groups(match.target)

    def _through(
        self, service: Service, dial: _Dial, groups: Iterable[Alike]
    ) -> Iterator[Row | Through]:
        """A row for each group of many nodes, and for each node of the others, in their order."""
        found: list[tuple[Node, Row | Through]] = []
        for nodes in groups:
            many = len(nodes) > _FEW
            for node in (nodes.first,) if many else nodes:
                flow = dial(node)
                if flow is None:
                    continue
                ends = (flow.source,), flow.destination, (flow.via,)
                told = outcome(self.paths.walk(flow))
                if many:
                    found.append((node, Through(service, *ends, told, nodes.names)))
                else:
                    found.append((node, Row(service, *ends, told, False)))
        found.sort(key=lambda one: self.roles.order[one[0].name])
        yield from (row for _, row in found)


def _own(client: Source, kind: DestinationKind, port: int, protocol: Protocol = "TCP") -> _Dial:
    """To each node's own address."""

    def dial(node: Node) -> Flow | None:
        address = node.address(client.ip.version)
        if address is None:
            return None
        return Flow(client, Destination(kind, address, port, protocol, node.name))

    return dial


def _by(client: Source, to: Destination) -> _Dial:
    """To an address that the network brings to each node."""
    return lambda node: Flow(client, to, node.name)


def _brought(service: Service, family: Family) -> Iterator[tuple[DestinationKind, Address]]:
    for ingress in service.ingress:
        if ingress.ip.version == family:
            yield "loadBalancerIP", ingress.ip
    for ip in service.external_ips:
        if ip.version == family:
            yield "externalIP", ip


def _ready(targets: Iterable[Target]) -> dict[str, int]:
    """How many ready endpoint addresses each node has, of those that have any."""
    found: dict[str, set[Address]] = {}
    for target in targets:
        for endpoint in target.endpoints:
            if endpoint.ready and endpoint.node:
                found.setdefault(endpoint.node, set()).add(endpoint.address)
    return {name: len(addresses) for name, addresses in found.items()}
