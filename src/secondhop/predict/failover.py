"""What the loss of a node costs (semantics §14).

Under Cluster live nodes go on choosing the dead node's pods until the control plane takes them for
unready; under either policy the balancer goes on sending to the node until it leaves it out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..model.cluster import Service
from ..model.failover import Failover, NodeLoss, Phase
from ..model.placement import Certainty, Outlook
from ..model.workload import Workload
from .balancers import BALANCERS, in_front_of
from .entries import Entries
from .landing import ways
from .loss import ADDRESS_LOST, Connections, Hit, worst
from .path import Paths
from .rollout import rollouts
from .share import Sender


def failover(paths: Paths, service: Service, balancer: str, grace: float) -> Failover:
    """The whole answer. balancer: the name of one of BALANCERS. grace: seconds until the control
    plane takes a dead node's pods for unready."""
    name = in_front_of(service, balancer)
    sender = Sender(paths, service, BALANCERS[name])
    losses = Losses(sender, Entries(paths), grace)
    version = paths.cluster.kube_version
    rolling = rollouts(
        losses.workloads, local=losses.local, balancer=sender.balancer, version=version
    )
    return Failover(name, grace, losses.detection, tuple(losses.all()), tuple(rolling))


class Losses:
    """The loss of each node, for one Service. local: Local is in force for outside clients.
    detection: seconds until the balancer leaves out a node that is gone; None: never. workloads:
    all behind the Service."""

    def __init__(self, sender: Sender, entries: Entries, grace: float) -> None:
        self._balancer = balancer = sender.balancer
        self._grace = grace
        self.detection = grace if balancer.watches == "ready endpoints" else balancer.detection
        routes = sender.paths.routes
        self._ports = [
            Connections(target, found, routes, one_node=balancer.one_node)
            for target, found in ways(sender, entries)
        ]
        self.local = sender.service.external_traffic_policy == "Local"
        self.workloads = sender.paths.placements.behind(sender.service)
        self._outlook = sender.paths.placements.of_service(sender.service)

    def all(self) -> list[NodeLoss]:
        """Every node that matters, in classes that are alike; the worst first. Where some pods are
        not placed, the worst placement."""
        if not self._ports:
            return []
        if self._outlook is not None:
            return [self._imagined(self._outlook)]
        classes: dict[NodeLoss, list[str]] = {}
        for names in self._alike():
            classes.setdefault(self._of(names[0]), []).extend(names)
        found = [replace(loss, nodes=tuple(names)) for loss, names in classes.items()]
        return sorted(found, key=_harm, reverse=True)

    def _alike(self) -> Iterator[list[str]]:
        """Nodes with pods, one by one, and the others by the ways that they are of."""
        homes = dict.fromkeys(name for port in self._ports for name in port.homes)
        yield from ([name] for name in homes)
        traits: dict[str, list[int]] = defaultdict(list)
        for port in self._ports:
            for way in port.ways:
                for node in way.nodes:
                    traits[node.name].append(id(way))
        groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, of in traits.items():
            if name not in homes:
                groups[tuple(of)].append(name)
        yield from groups.values()

    def _of(self, name: str) -> NodeLoss:
        """The loss of one node, whose name is left out."""
        before = max(port.before for port in self._ports)
        found = self._told([port.hits(name) for port in self._ports], before)
        ends = [port.serving(name) for port in self._ports]
        pods = max(port.homes[name] for port in self._ports)
        return replace(
            found,
            pods=pods,
            left=min(port.left(name) for port in self._ports),
            serving=min(served for served, _ in ends),
            dark=max(dark for _, dark in ends),
            movable=movable(self.workloads, name) if pods else None,
        )

    def _imagined(self, outlook: Outlook) -> NodeLoss:
        """The loss of the node that has as many pods as one can have, of as few as there can be; of
        any, where no placement differs."""
        left = max(0, outlook.least - outlook.crowded)
        lit = outlook.fewest if left else 1
        hits = [self._imagined_hits(port, outlook, lit, left > 0) for port in self._ports]
        lost = (h.lost / h.sent for found in hits for h in found if h is not ADDRESS_LOST)
        nodes = min(port.nodes for port in self._ports)
        serving = (lit if self.local else nodes) - 1 if left else 0
        aware = self._balancer.watches != "nothing"
        same = not outlook.maybe and outlook.crowded == outlook.thinnest
        return replace(
            self._told(hits, max(lost, default=0.0)),
            nodes=outlook.always if same else (),
            certainty="certain" if same else "possible",
            pods=min(outlook.crowded, outlook.most),
            left=left,
            serving=serving,
            dark=0 if self.local and aware else nodes - 1 - serving,
            movable=movable(self.workloads),
        )

    def _imagined_hits(
        self, port: Connections, outlook: Outlook, lit: int, left: bool
    ) -> list[Hit]:
        """lit: nodes that have a pod. Under Local their own pods get what enters there."""
        crowd = min(1.0, outlook.crowded / max(outlook.least, 1))
        aware = self._balancer.watches != "nothing"
        if port.one_node:
            if not self.local:
                return [ADDRESS_LOST, Hit(1, 0, crowd, left)]
            others = Hit(1, 0 if aware or lit == port.nodes else 1, 0, left)
            return [ADDRESS_LOST] if aware and lit == 1 else [ADDRESS_LOST, others]
        if not self.local:
            way = max(port.ways, key=lambda way: way.weight)
            served = port.sent - port.lost
            onto = way.weight * (1 - way.lost) * crowd
            its = way.weight, way.weight * way.lost, onto
            return [Hit(port.sent, port.lost, served * crowd, left, *its)]
        if self._balancer.weighted:
            return [Hit(1, 0, crowd, left, crowd, 0, crowd)]
        sent = lit if aware else port.nodes
        return [Hit(sent, sent - lit, 1, left, 1, 0, 1)]

    def _told(self, ports: Sequence[Sequence[Hit]], before: float) -> NodeLoss:
        """The fractions, of the worst port; counts are left to be filled in."""
        hits = [hit for found in ports for hit in found]
        return NodeLoss(
            entering=_rounded(max(hit.through / hit.sent for hit in hits)),
            through_others=_rounded(max(hit.through_others for hit in hits)),
            before=_rounded(before),
            phases=tuple(self._phases(ports)),
        )

    def _phases(self, ports: Sequence[Sequence[Hit]]) -> Iterator[Phase]:
        """What is lost from when to when; alike ones are joined."""
        ends = sorted({self._grace, self.detection or self._grace})
        last: Phase | None = None
        for start, end in zip([0.0, *ends], [*ends, None], strict=True):
            left_out = self.detection is not None and start >= self.detection
            unready = start >= self._grace
            lost = _rounded(max(worst(h, left_out=left_out, unready=unready) for h in ports))
            if last is not None and last.lost != lost:
                yield last
            last = Phase(end, lost)
        if last is not None:
            yield last


def _rounded(fraction: float) -> float:
    """Without the noise of sums in another order, so that alike nodes are alike."""
    return round(max(fraction, 0.0), 9)


def _harm(loss: NodeLoss) -> tuple[float, float]:
    """What is lost in the end, and all that is lost until then."""
    start = area = 0.0
    for until, lost in loss.phases:
        area += lost * ((until or start) - start)
        start = until or start
    return loss.phases[-1].lost, area


def all_on_one(homes: Counter[str], outlook: Outlook | None) -> Certainty:
    """Whether one node has every usable pod. homes: these by node, where they are placed; outlook:
    where some are not."""
    if outlook is None:
        return "certain" if len(homes) == 1 else "impossible"
    if outlook.most == 1 or len(outlook.always) + len(outlook.maybe) == 1:
        return "certain"
    return "possible" if outlook.crowded >= max(outlook.least, 1) else "impossible"


def movable(workloads: Sequence[Workload], name: str | None = None) -> bool | None:
    """Whether pods of a lost node (of this name) may run elsewhere; None where nobody knows what
    makes them."""
    if not workloads or any(workload.kind == "Pod" for workload in workloads):
        return None
    return any(
        _may_move(workload)
        for workload in workloads
        if name is None or workload.eligible is None or name in workload.eligible
    )


def _may_move(workload: Workload) -> bool:
    """A DaemonSet's pods stay; one that has its node for itself needs a free one."""
    if workload.replicas is None:
        return False
    needed = workload.replicas if workload.alone else 1
    return workload.eligible is None or len(workload.eligible) > needed
