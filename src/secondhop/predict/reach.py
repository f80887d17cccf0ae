"""Where the pods of one workload can end up, by counting: the scheduler places them one after the
other, in any order, on nodes that its hard constraints leave; what fits nowhere stays pending.

Two facts carry the formulas, and tests hold them against every placement of small clusters:
* Only zones, or only nodes, kept even within a skew: exactly the counts within the skew are
  reached, and with capacities filling stops where every emptiest domain is full.
* As long as one node is empty, a skew k between nodes is nothing but room for k pods on each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.workload import HOSTNAME, Spread, Workload

MANY = 10**9
"""Stands for no limit."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The pods of one workload, and the eligible nodes in numbers.

    pods: wanted. nodes: eligible ones. room: pods that one of them takes while another is empty.
    even: a skew keeps the nodes' counts together once none is empty. zones: eligible nodes in each
    domain of a wider spread, None without; skew: its maxSkew; held: its least count stays zero,
    for want of domains or because one can have no pod. daemon: one pod on each of the nodes.
    loose: nothing but eligibility and `room` is known.
    """

    pods: int
    nodes: int
    room: int = MANY
    even: bool = False
    zones: Mapping[str, int] | None = field(default=None, hash=False)
    skew: int = MANY
    held: bool = False
    daemon: bool = False
    loose: bool = False

    @property
    def certain(self) -> bool:
        """Whether at least one pod finds a node."""
        return self.pods > 0 and self.nodes > 0 and not self.loose

    def may_leave(self, zone: str | None = None) -> bool:
        """Whether an eligible node (of this zone) can end up without a pod."""
        if self.loose or not self.pods:
            return True
        if self.daemon:
            return False
        if self.zones is None:
            return self.pods <= self.room * (self.nodes - 1)
        room = {z: self.room * (size - (z == zone)) for z, size in self.zones.items()}
        level = self._level(room)
        # Where the others cannot hold all pods, only the skew can keep them off this node.
        others_hold_all = self.pods <= sum(min(most, level) for most in room.values())
        return others_hold_all or room[zone or ""] >= level

    def covers(self, wanted: Mapping[str, int]) -> bool:
        """Whether so many eligible nodes of each zone (all under one key without zones) can have a
        pod at once."""
        total = sum(wanted.values())
        if self.daemon or self.zones is None or self.loose or not total:
            return self.daemon or total <= self.pods
        top = max(wanted.values())
        if self.held:
            return top <= self.skew and total <= self.pods
        needed = {zone: max(wanted.get(zone, 0), top - self.skew) for zone in self.zones}
        fit = all(count <= self.room * self.zones[zone] for zone, count in needed.items())
        return fit and sum(needed.values()) <= self.pods

    @property
    def least(self) -> int:
        """Pods that find a node in every placement; a lower bound where both skews are at work."""
        if self.loose or not self.nodes:
            return 0
        if self.zones is None:
            return self.pods if self.even else self.most
        room = {zone: self.room * size for zone, size in self.zones.items()}
        level = self._level(room)
        held = min(self.pods, sum(min(most, level) for most in room.values()))
        return min(held, self.nodes) if self.even else held

    @property
    def most(self) -> int:
        """Pods that find a node in some placement; an upper bound where both skews are at work."""
        if not self.nodes:
            return 0
        if self.even or self.loose:
            return self.pods
        return min(self.pods, self.room * self.nodes) if self.zones is None else self.least

    @property
    def thinnest(self) -> int:
        """Fewest pods on a node that has one; a lower bound where zones count."""
        if self.least <= self.room * (self.nodes - 1):
            return 1
        if self.even:
            return max(1, -(-(self.least - (self.nodes - 1) * self.room) // self.nodes))
        return max(1, self.least - self.room * (self.nodes - 1))

    @property
    def fewest_nodes(self) -> int:
        """Fewest nodes that have all its pods; a lower bound where zones count."""
        return self._split(self.least, 0) if self.least else 0

    @property
    def concentration(self) -> float:
        """The largest share of one pod where every node with a pod gets as much as another."""
        if not self.least:
            return 1.0
        thin = self.thinnest
        return 1 / (thin * self._split(self.least - thin, 1))

    @property
    def crowded(self) -> int:
        """Most pods on one node; an upper bound where zones count."""
        if not self.even:
            return min(self.most, self.room)
        high = (self.pods + (self.nodes - 1) * self.room) // max(self.nodes, 1)
        return max(min(self.pods, self.room), min(high, self.pods))

    def _split(self, pods: int, taken: int) -> int:
        """Nodes that have a pod, at least: `taken`, and those that hold so many more pods."""
        nodes = min(self.nodes, taken + -(-pods // self.room))
        if self.zones is None:
            return nodes
        return max(nodes, min(len(self.zones), -(-self.least // self.skew)))

    def _level(self, room: Mapping[str, int]) -> int:
        """The most that a zone can reach, by what the emptiest can hold."""
        return (0 if self.held else min(room.values(), default=0)) + self.skew


def reach(workload: Workload, sizes: Mapping[str, int], nodes: int) -> Reach:
    """The Reach of a workload. sizes: eligible nodes in each domain of its wider spread."""
    if workload.replicas is None:
        return Reach(nodes, nodes, room=1, daemon=True, loose=workload.loose)
    room, even = MANY, False
    for spread in workload.spreads:
        if spread.key == HOSTNAME:
            room = min(room, spread.max_skew)
            even = not held(spread, workload)
    if workload.alone:
        room, even = 1, False
    if workload.loose:
        return Reach(workload.replicas, nodes, 1 if workload.alone else MANY, loose=True)
    wide = wider(workload)
    if wide is None:
        return Reach(workload.replicas, nodes, room, even)
    pinned = held(wide, workload)
    return Reach(workload.replicas, nodes, room, even, sizes, wide.max_skew, pinned)


def wider(workload: Workload) -> Spread | None:
    """Its spread over domains wider than a node; it has one at most, or is loose."""
    return next((spread for spread in workload.spreads if spread.key != HOSTNAME), None)


def held(spread: Spread, workload: Workload) -> bool:
    """Whether the least count stays zero: too few domains, or one that no pod can go to."""
    counted = Counter(spread.domains.values())
    usable = {spread.domains[name] for name in workload.eligible or () if name in spread.domains}
    return len(counted) < spread.min_domains or len(usable) < len(counted)
