"""What is certain of pods that nobody has placed: answers over every placement which the manifests
allow, found by counting nodes that are alike, not by trying placements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple, TypeAlias

from ..model.cluster import Cluster, Node, Service, ServicePortName
from ..model.placement import Certainty, Outlook
from ..model.workload import Spread, Workload
from .anywhere import even_up_to, over_any_nodes, somewhere_at_all
from .balancers import Balancer
from .reach import Reach, reach, wider
from .remedy import remedy
from .services import as_read

_MOST_JOINED = 10  # workloads of one service port that are matched with nodes subset by subset

Class: TypeAlias = tuple[str | None, ...]
"""What a node is to each of some workloads: the zone it counts in (empty where zones do not
count), None where their pods cannot go."""


class _Grouped(NamedTuple):
    """Some workloads, and the nodes by what they are to them."""

    reaches: tuple[Reach, ...]
    classes: dict[Class, tuple[str, ...]]
    of: dict[str, Class]


class Placements:
    """The workloads of one cluster by the service ports that they back; answers are about those
    that are not placed."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._all: dict[ServicePortName, list[Workload]] = {}
        self._backing: dict[ServicePortName, list[Workload]] = {}
        for workload in cluster.workloads:
            for name in workload.backs:
                self._all.setdefault(name, []).append(workload)
                if not workload.placed:
                    self._backing.setdefault(name, []).append(workload)
        self._settled: dict[ServicePortName, Counter[str]] = {}
        self._grouped: dict[object, _Grouped] = {}
        self._outlooks: dict[object, Outlook] = {}
        self._joined: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}

    def backing(self, name: ServicePortName) -> Sequence[Workload]:
        """Every workload whose pods are endpoints of the port."""
        return self._all.get(name, ())

    def behind(self, service: Service) -> list[Workload]:
        """Every workload whose pods are endpoints of any of its ports."""
        names = [service.port_name(port) for port in service.ports]
        return list({id(w): w for name in names for w in self.backing(name)}.values())

    def outlook(self, name: ServicePortName) -> Outlook | None:
        """Over all placements; None where every pod of the port has its place."""
        workloads = self._backing.get(name)
        if not workloads:
            return None
        settled = self.settled(name)
        if not _nodes_known(workloads):
            return over_any_nodes(workloads)
        key = (_key(workloads), tuple(sorted(settled.items())))
        found = self._outlooks.get(key)
        if found is None:
            found = self._outlooks[key] = self._over_nodes(workloads, settled)
        return found

    def of_service(self, service: Service) -> Outlook | None:
        """That of its first port that has one: ports differ only where pods name them apart."""
        found = (self.outlook(service.port_name(port)) for port in service.ports)
        return next((outlook for outlook in found if outlook is not None), None)

    def here(self, name: ServicePortName, node: Node) -> Certainty:
        """Whether this node has a pod of the port, of which some are not placed."""
        workloads = self._backing[name]
        if node.name in self.settled(name):
            return "certain"
        if not _nodes_known(workloads):
            return "certain" if even_up_to(workloads) is None else "possible"
        grouped = self._group(workloads)
        return _lit(grouped.reaches, grouped.of[node.name])

    def same_fate(self, names: Iterable[ServicePortName], node: Node | None) -> Certainty | None:
        """Whether all placements treat a flow to these ports alike; None where there is but one.
        node: the one whose own pods decide, None where any pod of the cluster will do."""
        unplaced = [name for name in names if name in self._backing]
        if not unplaced:
            return None
        open_ = [
            found
            for name in unplaced
            for found in (self.somewhere(name), *([self.here(name, node)] if node else []))
            if found == "possible"
        ]
        return "possible" if open_ else "certain"

    def somewhere(self, name: ServicePortName) -> Certainty:
        """Whether any node has a pod of the port, of which some are not placed."""
        workloads = self._backing[name]
        if not _nodes_known(workloads):
            return somewhere_at_all(workloads)
        return _somewhere(self._group(workloads).reaches, self.settled(name))

    def settled(self, name: ServicePortName) -> Counter[str]:
        """How many usable pods of a port each node has for a fact, of whichever family."""
        found = self._settled.get(name)
        if found is None:
            imagined = {pod for workload in self._backing[name] for pod in workload.pods}
            endpoints = as_read(self.cluster.endpoints.get(name, ()), self.cluster.kube_version)
            pods = {
                (e.node, e.pod or str(e.address))
                for e in endpoints
                if e.node and e.pod not in imagined and (e.ready or (e.serving and e.terminating))
            }
            found = self._settled[name] = Counter(node for node, _ in pods)
        return found

    def _group(self, workloads: Sequence[Workload]) -> _Grouped:
        key = _key(workloads)
        found = self._grouped.get(key)
        if found is None:
            found = self._grouped[key] = _grouped(workloads, self.cluster.nodes)
        return found

    def _over_nodes(self, workloads: Sequence[Workload], settled: Counter[str]) -> Outlook:
        reaches, classes, _ = self._group(workloads)
        left = {
            kind: tuple(n for n in names if n not in settled) if settled else names
            for kind, names in classes.items()
        }
        found: dict[Certainty, list[tuple[str, ...]]] = {
            "certain": [tuple(n.name for n in self.cluster.nodes if n.name in settled)],
            "possible": [],
            "impossible": [],
        }
        may_be_empty = False
        for kind, names in left.items():
            lit = _lit(reaches, kind)
            found[lit].append(names)
            may_be_empty |= bool(names) and lit != "certain"
        full = _covered(reaches, {kind: len(names) for kind, names in left.items() if names})
        empty: Certainty = "possible" if full else "certain"
        if not may_be_empty:
            empty = "impossible"
        placed = sum(settled.values())
        outlook = Outlook(
            least=placed + sum(r.least for r in reaches),
            most=placed + sum(r.most for r in reaches),
            wanted=placed + sum(r.pods for r in reaches),
            empty=empty,
            anywhere=_somewhere(reaches, settled),
            always=self._join(found["certain"]),
            maybe=self._join(found["possible"]),
            never=self._join(found["impossible"]),
            thinnest=min([*settled.values(), *(r.thinnest for r in reaches if r.nodes)], default=1),
            concentration=_concentration(reaches, settled),
            crowded=max(settled.values(), default=0) + sum(r.crowded for r in reaches),
            fewest=max(1, len(settled), *(r.fewest_nodes for r in reaches)),
            host_network=any(w.host_network for w in workloads),
        )
        if empty == "impossible":
            return outlook
        return replace(outlook, remedy=remedy(workloads, outlook.never, len(self.cluster.nodes)))

    def _join(self, parts: list[tuple[str, ...]]) -> tuple[str, ...]:
        """The names of several classes of nodes; one tuple for equal questions."""
        parts = [part for part in parts if part]
        if len(parts) == 1:
            return parts[0]
        key = tuple(parts)
        found = self._joined.get(key)
        if found is None:
            found = self._joined[key] = tuple(name for part in parts for name in part)
        return found


def largest_share(outlook: Outlook, balancer: Balancer, *, local: bool, nodes: int | None) -> float:
    """The largest share of fresh connections that one pod gets in any placement, or more than that
    where zones or several workloads count. nodes: how many there are; None: any number.

    Under Cluster every pod gets the same, hints left aside.
    """
    if not local or balancer.weighted:
        return 1 / max(outlook.least, 1)
    if balancer.one_node:
        return 1 / outlook.thinnest
    if balancer.watches == "nothing" and nodes:
        return 1 / (nodes * outlook.thinnest)
    return outlook.concentration


def _nodes_known(workloads: Iterable[Workload]) -> bool:
    return all(workload.eligible is not None for workload in workloads)


def _key(workloads: Iterable[Workload]) -> object:
    """What their Reaches follow from."""
    return tuple(
        (w.replicas, w.eligible, w.alone, w.loose, tuple(_spread_key(s) for s in w.spreads))
        for w in workloads
    )


def _spread_key(spread: Spread) -> object:
    return spread.key, spread.max_skew, spread.min_domains, id(spread.domains)


def _grouped(workloads: Sequence[Workload], nodes: Sequence[Node]) -> _Grouped:
    zones = [_zones(workload) for workload in workloads]
    of: dict[str, Class] = {}
    classes: dict[Class, list[str]] = {}
    for node in nodes:
        kind = tuple(homes.get(node.name) for homes in zones)
        of[node.name] = kind
        classes.setdefault(kind, []).append(node.name)
    reaches = tuple(
        reach(workload, Counter(homes.values()), len(homes))
        for workload, homes in zip(workloads, zones, strict=True)
    )
    return _Grouped(reaches, {kind: tuple(names) for kind, names in classes.items()}, of)


def _zones(workload: Workload) -> dict[str, str]:
    """Eligible node -> the zone that its pods count in, empty where zones do not count."""
    wide = None if workload.loose or workload.replicas is None else wider(workload)
    names = workload.eligible or ()
    return {name: wide.domains[name] if wide else "" for name in names}


def _lit(reaches: Sequence[Reach], kind: Class) -> Certainty:
    """Whether a node of this class has a pod."""
    takers = [(r, zone) for r, zone in zip(reaches, kind, strict=True) if zone is not None]
    if any(not r.may_leave(zone) for r, zone in takers):
        return "certain"
    return "possible" if takers else "impossible"


def _covered(reaches: Sequence[Reach], sizes: dict[Class, int]) -> bool:
    """Whether all these nodes can have a pod at once. Exact for one workload, and for several
    without spreads over zones; else it may promise too much."""
    daemons = [n for n, r in enumerate(reaches) if r.daemon and not r.loose]
    open_ = {kind: size for kind, size in sizes.items() if all(kind[n] is None for n in daemons)}
    takers = {
        kind: frozenset(n for n, zone in enumerate(kind) if zone is not None) for kind in open_
    }
    if not all(takers.values()):
        return False
    involved = sorted(frozenset[int]().union(*takers.values()))
    if len(involved) == 1:
        wanted = Counter[str]()
        for kind, size in open_.items():
            wanted[kind[involved[0]] or ""] += size
        return reaches[involved[0]].covers(wanted)
    least = 1 if len(involved) <= _MOST_JOINED else len(involved)
    for size in range(least, len(involved) + 1):
        for group in map(frozenset, combinations(involved, size)):
            nodes = sum(size for kind, size in open_.items() if takers[kind] <= group)
            if nodes > sum(reaches[n].pods for n in group):
                return False
    return True


def _somewhere(reaches: Sequence[Reach], settled: Counter[str]) -> Certainty:
    if settled or any(r.certain for r in reaches):
        return "certain"
    return "possible" if any(r.nodes for r in reaches) else "impossible"


def _concentration(reaches: Sequence[Reach], settled: Counter[str]) -> float:
    found = [r.concentration for r in reaches if r.nodes]
    if settled:
        found.append(1 / (min(settled.values()) * len(settled)))
    return max(found, default=1.0)
