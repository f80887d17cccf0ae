"""Where a balancer's connections land, from groups of nodes that are alike (§5.1): what `share`
says, for many Services on many nodes, without naming each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..model.cluster import Address, Family, Node, ServicePort
from ..model.fate import Fate, Outcome
from .entries import Alike, Entry
from .services import Target
from .share import Sender, lending


class Landing(NamedTuple):
    """Fractions of all fresh connections to a service port; see Share. holder: one of the nodes
    that would make it so by having the address, where one node has it."""

    port: ServicePort
    family: Family
    holder: str | None
    pods: Mapping[str, float]
    lost: float


class Way(NamedTuple):
    """Nodes to which the balancer sends alike. weight: of each, relative to other ways to the same
    service port; never zero. outcome: as an Entry's."""

    nodes: Alike
    weight: float
    outcome: Outcome

    @property
    def lost(self) -> float:
        """The fraction that reaches no pod."""
        if self.outcome.fate is Fate.DELIVERED:
            return 0.0
        return 1.0 - sum(backend.share for backend in self.outcome.backends)


def ways(sender: Sender, entries: Iterable[Entry]) -> Iterator[tuple[Target, list[Way]]]:
    """The ways to each port and family, if the balancer sends there at all. entries: of the
    sender's Service."""
    balancer = sender.balancer
    if balancer.node_addresses:
        yield from _lent(lending(sender.cluster, sender.service, balancer))
        return
    dialled: dict[int, tuple[Target, list[Way]]] = {}
    for entry in entries:
        if entry.address == _door(entry.target, proxies=balancer.proxies):
            weight = weight_of(sender, entry)
            if weight:
                _, found = dialled.setdefault(id(entry.target), (entry.target, []))
                found.append(Way(entry.nodes, weight, entry.outcome))
    yield from dialled.values()


def _lent(sender: Sender) -> Iterator[tuple[Target, list[Way]]]:
    """The ways where each node is dialled at its own address; alike if the same pods are reached
    in the same shares."""
    for target in sender.targets():
        found: dict[object, tuple[dict[str, Node], float, Outcome]] = {}
        for node, told, weight in sender.through(target):
            landed = tuple((b.address, b.node, b.share) for b in told.backends)
            nodes, _, _ = found.setdefault((told.fate, landed, weight), ({}, weight, told))
            nodes[node.name] = node
        if found:
            yield (
                target,
                [Way(Alike(nodes), weight, told) for nodes, weight, told in found.values()],
            )


def landings(sender: Sender, entries: Iterable[Entry]) -> Iterator[Landing]:
    """One Landing for each port and family, or for each group of nodes that may have the address;
    nothing where the balancer sends nothing. entries: of the sender's Service."""
    one_node = sender.balancer.one_node
    for target, found in ways(sender, entries):
        for group in [[way] for way in found] if one_node else [found]:
            yield _landing(target, group, one_node=one_node)


def weight_of(sender: Sender, entry: Entry) -> float:
    """What each node of an entry gets, relative to other entries of the same address."""
    node = entry.node
    return sender.weight(entry.target, node, entry.outcome) if sender.watching.sees(node) else 0.0


def _door(target: Target, *, proxies: bool) -> Address | None:
    """The address the balancer dials: a load balancer IP that kube-proxy serves, if it hands on
    what it gets, else the node port (None), else what the network brings to the nodes."""
    if target.vips and not proxies:
        return target.vips[0]
    return target.external_ips[0] if target.external_ips and not target.port.node_port else None


def _landing(target: Target, ways: list[Way], *, one_node: bool) -> Landing:
    total = sum(len(way.nodes) * way.weight for way in ways)
    pods: dict[str, float] = defaultdict(float)
    lost = 0.0
    for way in ways:
        part = len(way.nodes) * way.weight / total
        for backend in way.outcome.backends:
            pods[backend.pod or backend.address] += part * backend.share
        lost += part * way.lost
    holder = next(iter(ways[0].nodes)).name if one_node else None
    return Landing(target.port, target.family, holder, dict(pods), lost)
