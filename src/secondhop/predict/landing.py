"""Where a balancer's connections land, from groups of nodes that are alike (§5.1): what `share`
says, for many Services on many nodes, without naming each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..model.cluster import Address, Family, ServicePort
from ..model.fate import Fate
from .entries import Entry
from .services import Target
from .share import Sender, shares


class Landing(NamedTuple):
    """Fractions of all fresh connections to a service port; see Share. holder: one of the nodes
    that would make it so by having the address, where one node has it."""

    port: ServicePort
    family: Family
    holder: str | None
    pods: Mapping[str, float]
    lost: float


def landings(sender: Sender, entries: Iterable[Entry]) -> Iterator[Landing]:
    """One Landing for each port and family, or for each group of nodes that may have the address;
    nothing where the balancer sends nothing. entries: of the sender's Service."""
    balancer = sender.balancer
    if balancer.node_addresses:
        for s in shares(sender.cluster, sender.service, balancer):
            if not s.unsent:
                yield Landing(s.port, s.family, s.holder, s.pods, sum(s.lost.values()))
        return
    dialled: dict[int, list[tuple[Entry, float]]] = {}
    for entry in entries:
        if entry.address == _door(entry.target, proxies=balancer.proxies):
            weight = weight_of(sender, entry)
            if weight:
                dialled.setdefault(id(entry.target), []).append((entry, weight))
    for ways in dialled.values():
        for group in [[(entry.alone(), 1.0)] for entry, _ in ways] if balancer.one_node else [ways]:
            yield _landing(group, one_node=balancer.one_node)


def weight_of(sender: Sender, entry: Entry) -> float:
    """What the nodes of an entry get together, relative to other entries of the same address."""
    node = entry.node
    if not sender.watching.sees(node):
        return 0.0
    return len(entry.nodes) * sender.weight(entry.target, node, entry.outcome)


def _door(target: Target, *, proxies: bool) -> Address | None:
    """The address the balancer dials: a load balancer IP that kube-proxy serves, if it hands on
    what it gets, else the node port (None), else what the network brings to the nodes."""
    if target.vips and not proxies:
        return target.vips[0]
    return target.external_ips[0] if target.external_ips and not target.port.node_port else None


def _landing(ways: list[tuple[Entry, float]], *, one_node: bool) -> Landing:
    target, total = ways[0][0].target, sum(weight for _, weight in ways)
    pods: dict[str, float] = defaultdict(float)
    lost = 0.0
    for entry, weight in ways:
        told, part = entry.outcome, weight / total
        for pod, share in entry.shares():
            pods[pod] += part * share
        if told.fate is not Fate.DELIVERED:
            lost += part * (1 - sum(backend.share for backend in told.backends))
    holder = ways[0][0].node.name if one_node else None
    return Landing(target.port, target.family, holder, dict(pods), lost)
