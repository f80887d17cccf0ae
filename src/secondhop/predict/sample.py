"""A few nodes that speak for all of a cluster, as far as one Service goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..model.cluster import Node, Service
from .alike import Roles
from .path import Paths
from .services import FAMILIES

_FEW = 3


class Sample(NamedTuple):
    """nodes: those to be told of, in their order. alike: the names for which a node stands, its own
    first, where there are more than that."""

    nodes: tuple[Node, ...]
    alike: Mapping[str, tuple[str, ...]]


def sample(views: Iterable[tuple[Paths, Service]]) -> Sample:
    """All nodes, save that of many that nothing tells apart in any of the views two are enough: one
    to enter through, and one to send from elsewhere. The first stands for the rest."""
    traits: dict[str, list[object]] = {}
    lots: dict[tuple[object, ...], list[Node]] = {}
    nodes: tuple[Node, ...] = ()
    for paths, service in views:
        nodes = paths.cluster.nodes
        for name, trait in _traits(paths, service):
            traits.setdefault(name, []).append(trait)
    for node in nodes:
        lots.setdefault(tuple(traits[node.name]), []).append(node)
    many = [lot for lot in lots.values() if len(lot) > _FEW]
    dropped = {node.name for lot in many for node in lot[2:]}
    return Sample(
        tuple(node for node in nodes if node.name not in dropped),
        {lot[0].name: tuple(n.name for n in lot if n is not lot[1]) for lot in many},
    )


def _traits(paths: Paths, service: Service) -> Iterator[tuple[str, object]]:
    """What tells nodes apart, each with the name of a node."""
    roles, routes = Roles(paths), paths.routes
    for family in FAMILIES:
        yield from roles.kinds(family, by_zone=True).of.items()
    own = (*service.external_ips, *(ingress.ip for ingress in service.ingress))
    for ip in (*own, *(interface.ip for interface in paths.cluster.client)):
        if (host := routes.host(ip)) is not None:
            yield host.name, ip
    for port in service.ports:
        yield from roles.by_doubt([service.port_name(port)], {}).items()
        for endpoint in paths.cluster.endpoints.get(service.port_name(port), ()):
            home, on_host, _ = routes.place(endpoint)
            state = endpoint.ready, endpoint.serving, endpoint.terminating, endpoint.zone_hints
            named = {endpoint.node, home.name if home else None, *endpoint.node_hints}
            for name in named:
                if name is not None:
                    here = home is not None and home.name == name
                    hinted = name in endpoint.node_hints, endpoint.node_hints - {name}
                    at = endpoint.address.version, endpoint.node == name, here, on_host
                    yield name, (port, *state, *hinted, *at)
