"""Which endpoints of a service port may be used on a node (semantics §2)."""

from __future__ import annotations

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


def usable(
    endpoints: tuple[Endpoint, ...], node: Node, *, uses_cluster: bool, uses_local: bool
) -> Usable:
    """Sort out the endpoints as `node` does.

    Ready ones come first; the terminating that still serve are used only where nobody is ready:
    cluster-wide for the cluster list, on the node for the local list. Hints never restrict the
    local list nor the fallback (§2.1).
    """
    ready = tuple(e for e in endpoints if e.ready)
    leaving = tuple(e for e in endpoints if e.serving and e.terminating)
    ready_here = on_node(ready, node)
    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    anywhere = False
    if uses_cluster:
        cluster = hinted(ready, node) or leaving
        anywhere = bool(cluster)
    if uses_local:
        local = ready_here or on_node(leaving, node)
        anywhere = anywhere or bool(ready or leaving)
    return Usable(cluster, local, anywhere, len(ready_here), len(ready), len(endpoints))


def on_node(endpoints: tuple[Endpoint, ...], node: Node) -> tuple[Endpoint, ...]:
    """Those whose slice names this node (`nodeName`)."""
    return tuple(e for e in endpoints if e.node == node.name)


def hinted(ready: tuple[Endpoint, ...], node: Node) -> tuple[Endpoint, ...]:
    """Those that topology hints leave to this node: its own, else its zone's, else all.

    One ready endpoint without a hint of a kind switches that kind off (§2.1).
    """
    if all(e.node_hints for e in ready):
        ours = tuple(e for e in ready if node.name in e.node_hints)
        if ours:
            return ours
    if node.zone is not None and all(e.zone_hints for e in ready):
        near = tuple(e for e in ready if node.zone in e.zone_hints)
        if near:
            return near
    return ready
