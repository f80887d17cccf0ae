"""What the loss of a node does to the connections to one service port, by weight: the arithmetic of
failover."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .landing import Way
from .routing import Routes
from .services import Target

_NEGLIGIBLE = 1e-9


class Hit(NamedTuple):
    """The loss of a node for the connections to one service port, in weights.

    sent: all. lost: before. onto: what landed on its pods. pods_left: others take that over once
    nobody chooses the dead ones any more. through: what entered by the node, of which through_lost
    and through_onto were of the same kinds.
    """

    sent: float
    lost: float
    onto: float
    pods_left: bool
    through: float = 0.0
    through_lost: float = 0.0
    through_onto: float = 0.0

    @property
    def others(self) -> float:
        """What enters by other nodes."""
        return self.sent - self.through

    def after(self, *, left_out: bool, unready: bool) -> float:
        """The fraction that is lost. left_out: the balancer has noticed; unready: so has the
        control plane."""
        lost = self.lost - self.through_lost
        if not (unready and self.pods_left):
            lost += self.onto - self.through_onto
        if not left_out:
            return (lost + self.through) / self.sent
        return lost / self.others if self.others > _NEGLIGIBLE else 1.0

    @property
    def through_others(self) -> float:
        """Of what enters by others, the fraction that goes on to its pods."""
        onto = self.onto - self.through_onto
        return onto / self.others if self.others > _NEGLIGIBLE else 0.0


ADDRESS_LOST = Hit(1, 1, 0, False, 1, 1)
"""The node has the address that one node has at a time."""


class Connections:
    """Those to one service port through all its ways. homes: usable pods by node. nodes: how many
    are sent to."""

    def __init__(self, target: Target, ways: Sequence[Way], routes: Routes, *, one_node: bool):
        self.ways = ways
        self.one_node = one_node
        self.nodes = sum(len(way.nodes) for way in ways)
        self.sent = sum(len(way.nodes) * way.weight for way in ways)
        self.lost = sum(len(way.nodes) * way.weight * way.lost for way in ways)
        self._dark = sum(len(way.nodes) for way in ways if _is_dark(way))
        self._most_lost = sorted(ways, key=lambda way: -way.lost)[:2]
        self._alone = {next(iter(w.nodes)).name: w for w in ways if len(w.nodes) == 1}
        self._together = [way for way in ways if len(way.nodes) > 1]
        self._onto: dict[str, list[tuple[Way, float]]] = defaultdict(list)
        for way in ways:
            for name, share in _onto(way).items():
                self._onto[name].append((way, share))
        usable = [e for e in target.endpoints if e.ready or (e.serving and e.terminating)]
        places = (routes.place(endpoint).node for endpoint in usable)
        self.homes = Counter(node.name for node in places if node is not None)
        self._pods = len(usable)

    @property
    def before(self) -> float:
        """The fraction that is lost while all nodes live; the worst, where one node has all."""
        return self._most_lost[0].lost if self.one_node else self.lost / self.sent

    def left(self, name: str) -> int:
        """Usable pods on other nodes, and outside the cluster."""
        return self._pods - self.homes[name]

    def hits(self, name: str) -> list[Hit]:
        """One; or the worst of those that there are for each node which may have the address."""
        left, its, onto = self.left(name) > 0, self._through(name), self._onto.get(name, [])
        if self.one_node:
            alone = its if name in self._alone else None
            shares = [*onto, *((way, 0.0) for way in self._most_lost)]
            hits = [Hit(1, way.lost, share, left) for way, share in shares if way is not alone]
            return [ADDRESS_LOST, *hits] if its else hits
        landed = sum(len(way.nodes) * way.weight * share for way, share in onto)
        hit = Hit(self.sent, self.lost, landed, left)
        if its is None:
            return [hit]
        own = sum(its.weight * share for way, share in onto if way is its)
        return [
            hit._replace(through=its.weight, through_lost=its.weight * its.lost, through_onto=own)
        ]

    def serving(self, name: str) -> tuple[int, int]:
        """How many other nodes serve in the end, and how many do not."""
        its = self._through(name)
        others = self.nodes - (its is not None)
        dark = self._dark - (its is not None and _is_dark(its)) if self.left(name) else others
        return others - dark, dark

    def _through(self, name: str) -> Way | None:
        """The way through this node."""
        found = self._alone.get(name)
        return found or next((way for way in self._together if way.nodes.has(name)), None)


def _is_dark(way: Way) -> bool:
    return way.lost > 1 - _NEGLIGIBLE


def _onto(way: Way) -> Mapping[str, float]:
    """The fraction that lands on each node's pods."""
    found: dict[str, float] = defaultdict(float)
    for backend in way.outcome.backends:
        if backend.node is not None:
            found[backend.node] += backend.share
    return found


def worst(hits: Sequence[Hit], *, left_out: bool, unready: bool) -> float:
    """The worst of the hits that are possible: an address leaves a node that is left out, if there
    is another that may have it."""
    possible = [hit for hit in hits if hit is not ADDRESS_LOST] if left_out else hits
    return max(hit.after(left_out=left_out, unready=unready) for hit in possible or hits)
