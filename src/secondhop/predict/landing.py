"""Where a balancer's connections land, from groups of nodes that are alike (§5.1): what `share`
says, for many Services on many nodes, without naming each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..model.cluster import Address, Family, Node, ServicePort
from ..model.fate import Fate, Outcome
from .alike import Alike
from .entries import Entries, Entry
from .services import Target
from .share import Sender, lending, shares


class Landing(NamedTuple):
    """Fractions of all fresh connections to a service port; see Share. holder: one of the nodes
    that would make it so by having the address, where one node has it."""

    port: ServicePort
    family: Family
    holder: str | None
    pods: Mapping[str, float]
    lost: float


class Way(NamedTuple):
    """Nodes to which the balancer sends alike, and that hand on to the same pods. weight: of each,
    relative to other ways to the same service port; never zero. outcome: as an Entry's."""

    nodes: Alike
    weight: float
    outcome: Outcome

    @property
    def lost(self) -> float:
        """The fraction that reaches no pod."""
        return _lost(self.outcome)


def landings(sender: Sender, entries: Iterable[Entry]) -> Iterator[Landing]:
    """One Landing for each port and family, or for each group of nodes that may have the address;
    nothing where the balancer sends nothing. entries: of the sender's Service."""
    balancer = sender.balancer
    if balancer.node_addresses:
        for s in shares(sender.cluster, sender.service, balancer):
            if not s.unsent:
                yield Landing(s.port, s.family, s.holder, s.pods, sum(s.lost.values()))
        return
    for target, dialled in _dialled(sender, entries):
        one_by_one = [[(entry.alone(), 1.0)] for entry, _ in dialled]
        for group in one_by_one if balancer.one_node else [dialled]:
            yield _landing(target, group, one_node=balancer.one_node)


def ways(sender: Sender, entries: Entries) -> Iterator[tuple[Target, list[Way]]]:
    """The ways to each port and family of the sender's Service, if the balancer sends there at
    all."""
    balancer = sender.balancer
    if balancer.node_addresses:
        yield from _lent(lending(sender.cluster, sender.service, balancer))
        return
    for target, dialled in _dialled(sender, entries.of(sender.service)):
        yield (
            target,
            [
                Way(one.nodes, weight, one.outcome)
                for entry, weight in dialled
                for one in entries.apart(entry)
            ],
        )


def _dialled(
    sender: Sender, entries: Iterable[Entry]
) -> Iterator[tuple[Target, list[tuple[Entry, float]]]]:
    """The entries that the balancer sends to, and what each of their nodes gets."""
    found: dict[int, tuple[Target, list[tuple[Entry, float]]]] = {}
    for entry in entries:
        if entry.address == _door(entry.target, proxies=sender.balancer.proxies):
            weight = weight_of(sender, entry)
            if weight:
                found.setdefault(id(entry.target), (entry.target, []))[1].append((entry, weight))
    yield from found.values()


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


def _landing(target: Target, dialled: list[tuple[Entry, float]], *, one_node: bool) -> Landing:
    total = sum(len(entry.nodes) * weight for entry, weight in dialled)
    pods: dict[str, float] = defaultdict(float)
    lost = 0.0
    for entry, weight in dialled:
        part = len(entry.nodes) * weight / total
        for pod, share in entry.shares():
            pods[pod] += part * share
        lost += part * _lost(entry.outcome)
    holder = dialled[0][0].node.name if one_node else None
    return Landing(target.port, target.family, holder, dict(pods), lost)


def _lost(told: Outcome) -> float:
    """The fraction that reaches no pod."""
    if told.fate is Fate.DELIVERED:
        return 0.0
    return 1.0 - sum(backend.share for backend in told.backends)
