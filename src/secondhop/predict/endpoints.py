"""Which endpoints of a service port may be used on a node (semantics §2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ..model.cluster import Endpoint, Node


@dataclass(frozen=True, slots=True)
class Usable:
    """What kube-proxy of one node makes of a service port's endpoints.

    cluster: for traffic under policy Cluster; local: for traffic under policy Local; both in
    kube-proxy's order, and empty when no policy of the Service asks for that list.
    anywhere: whether the cluster has a usable endpoint at all.
    ready_here, ready, total: how many endpoints are ready on this node, ready, and listed.
    """

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    anywhere: bool
    ready_here: int
    ready: int
    total: int


class Listed:
    """The endpoints of a service port, in kube-proxy's order, filed by what nodes ask for.

    ready_on, leaving_on: by the node that the slice names (`nodeName`). for_node, for_zone: the
    ready ones by their hints; one without a hint of a kind switches that kind off (§2.1).
    """

    def __init__(self, endpoints: Iterable[Endpoint]):
        self.endpoints = tuple(endpoints)
        self.ready = tuple(e for e in self.endpoints if e.ready)
        self.leaving = tuple(e for e in self.endpoints if e.serving and e.terminating)
        self.ready_on = _filed(self.ready, lambda e: (e.node,))
        self.leaving_on = _filed(self.leaving, lambda e: (e.node,))
        self.for_node = _filed(self.ready, lambda e: e.node_hints)
        self.for_zone = _filed(self.ready, lambda e: e.zone_hints)


def _filed(
    endpoints: Iterable[Endpoint], names: Callable[[Endpoint], Collection[str | None]]
) -> Mapping[str | None, tuple[Endpoint, ...]]:
    """The endpoints by each of their names; nothing if one of them has no name."""
    found: dict[str | None, list[Endpoint]] = {}
    for endpoint in endpoints:
        named = names(endpoint)
        if not named:
            return {}
        for name in named:
            found.setdefault(name, []).append(endpoint)
    return {name: tuple(members) for name, members in found.items()}


def usable(listed: Listed, node: Node, *, uses_cluster: bool, uses_local: bool) -> Usable:
    """Sort out the endpoints as `node` does.

    Ready ones come first; the terminating that still serve are used only where nobody is ready:
    cluster-wide for the cluster list, on the node for the local list. Hints never restrict the
    local list nor the fallback (§2.1).
    """
    ready, leaving = listed.ready, listed.leaving
    ready_here = listed.ready_on.get(node.name, ())
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    anywhere = False
    if uses_cluster:
        cluster = hinted(listed, node) or leaving
        anywhere = bool(cluster)
    if uses_local:
        local = ready_here or listed.leaving_on.get(node.name, ())
        anywhere = anywhere or bool(ready or leaving)
    return Usable(cluster, local, anywhere, len(ready_here), len(ready), len(listed.endpoints))


def hinted(listed: Listed, node: Node) -> tuple[Endpoint, ...]:
    """The ready ones that hints leave to this node: its own, else its zone's, else all."""
    return listed.for_node.get(node.name) or listed.for_zone.get(node.zone) or listed.ready
