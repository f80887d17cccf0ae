"""What is predicted of the moment when something breaks, and how likely the measurement is then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..lab.timing import RELIST
from ..manifests import Lab
from ..model.cluster import Cluster, Service
from ..model.comparison import STRAY, Event, Judged, Sample
from ..model.failover import Phase, Rolling
from ..model.share import Share
from ..model.workload import Workload
from ..predict.balancers import BALANCERS, Balancer
from ..predict.entries import Entries
from ..predict.failover import Losses
from ..predict.path import Paths
from ..predict.rollout import rollouts
from ..predict.share import Sender, shares
from .chance import losses

SETTLE = 0.3
"""Seconds around a change in which both what was and what will be may be seen."""
_OVER = "none in the last quarter"
_QUIET = 0.25
"""The last part of a time that is watched, in which nothing may be lost any more."""


class Stretch(NamedTuple):
    """A phase, and how much earlier and later than told it may end, in seconds."""

    phase: Phase
    early: float = 0.0
    late: float = 0.0


class Foreseen(NamedTuple):
    """stretches: what fraction of connections is lost until when, the first from `since` on, in
    seconds; words: what can be said where that is not known."""

    stretches: tuple[Stretch, ...] = ()
    words: str = ""
    since: float = 0.0

    @property
    def phases(self) -> tuple[Phase, ...]:
        """As a Disturbance has them."""
        return tuple(stretch.phase for stretch in self.stretches)


_NOTHING = Stretch(Phase(None, 0.0))


@dataclass(frozen=True, slots=True)
class Foresight:
    """One Service of a living lab. holder: the one node that the balancer sends to; None where it
    sends to several. given: the input's cluster, which knows the workloads, and the Service
    there."""

    cluster: Cluster
    service: Service
    lab: Lab
    holder: str | None
    given: tuple[Cluster, Service]

    def share(self, *, weighted: bool = False) -> Share:
        """The share of each pod; weighted: as behind a balancer that heeds the nodes' weights."""
        version = self.service.ingress[0].ip.version
        balancer = BALANCERS["weighted"] if weighted else self._balancer
        found = [s for s in shares(self.cluster, self.service, balancer) if s.family == version]
        return next((s for s in found if s.holder in (None, self.holder)), found[0])

    def of(self, event: Event, subject: str) -> Foreseen:
        """What will be lost while this happens to a node, or to `namespace/name`."""
        if event == "node dies":
            return Foreseen(tuple(map(self._stretched, self._node_dies(subject))))
        if event == "pod dies":
            return self._pod_dies(subject.rpartition("/")[2])
        if event == "rollout":
            return self._rollout(subject)
        return self._drain(subject)

    def judged(self, foreseen: Foreseen, samples: Sequence[Sample]) -> Iterator[Judged]:
        """Each stretch, as far as it is sure to have begun and not yet to have ended: a check may
        have been made just before the event or just after it, and so may a kubelet's sign of life.
        Without any: the end of the time, when all is over."""
        after = [sample for sample in samples if sample.at >= 0]
        last = after[-1].at if after else 0.0
        since = foreseen.since if foreseen.stretches else (1 - _QUIET) * last
        for phase, early, late in foreseen.stretches or (_NOTHING,):
            until = last if phase.until is None else min(phase.until - early, last)
            if until > since:
                sent = [sample for sample in after if since <= sample.at <= until]
                lost = sum(not sample.pod for sample in sent)
                p_value = losses(lost, len(sent), phase.lost, STRAY)
                yield Judged(since, until, phase.lost, len(sent), lost, p_value)
            since = until + early + late

    @property
    def _balancer(self) -> Balancer:
        how = self.lab.balancer
        one = how.kind == "single-node"
        detection = how.interval * (how.threshold + 0.5)
        return Balancer("health checks", one_node=one, detection=detection)

    def _stretched(self, phase: Phase) -> Stretch:
        """A phase after a node's death: it ends by the node grace, or by the balancer's checks."""
        interval, grace = self.lab.balancer.interval, self.lab.node_grace_seconds
        if phase.until is None:
            return Stretch(phase)
        if phase.until == grace:
            return Stretch(phase, grace / 5 + SETTLE, 2 * SETTLE)
        return Stretch(phase, interval / 2, interval / 2 + SETTLE)

    def _node_dies(self, node: str) -> tuple[Phase, ...]:
        if self.holder not in (None, node):
            return self._behind_another(node)
        paths, grace = Paths(self.cluster), self.lab.node_grace_seconds
        losses = Losses(Sender(paths, self.service, self._balancer), Entries(paths), grace).all()
        return next((loss.phases for loss in losses if node in loss.nodes), ())

    def _behind_another(self, node: str) -> tuple[Phase, ...]:
        """The one node that is sent to lives, and goes on to pods of the dead one."""
        onto = sum(part for pod, part in self.share().pods.items() if self._homes[pod] == node)
        left = set(self._homes.values()) - {node}
        phases = Phase(self.lab.node_grace_seconds, onto), Phase(None, 0.0 if left else onto)
        return phases if onto else phases[1:]

    def _pod_dies(self, pod: str) -> Foreseen:
        """Its address refuses until its kubelet has noticed and started it again."""
        lost = self.share().pods.get(pod, 0.0)
        if any(workload.rollout.probed for workload in self._workloads):
            return Foreseen(
                words=f"{lost:.0%} are refused until the kubelet notices ({RELIST:g} s), later it"
                " hangs on the readiness probe"
            )
        return Foreseen((Stretch(Phase(RELIST, lost), SETTLE, SETTLE), _NOTHING))

    def _rollout(self, deployment: str) -> Foreseen:
        """Nothing, where pods that end serve for as long as they are sent to."""
        local = self.service.external_traffic_policy == "Local"
        version = self.cluster.kube_version
        found = rollouts(self._workloads, local=local, balancer=self._balancer, version=version)
        rolling = next((one for one in found if one.workload == f"Deployment {deployment}"), None)
        if rolling is None:
            return Foreseen(words="not known")
        if rolling.falls_short or rolling.served is None or rolling.needed is None:
            return Foreseen(words=_short(rolling))
        return Foreseen((_NOTHING,))

    def _drain(self, node: str) -> Foreseen:
        """Under Local, what enters by the node until the balancer has heard of it, which a check
        tells at once; then, and under Cluster, other pods take over."""
        how, homes, share = self.lab.balancer, self._homes, self.share()
        rollouts = [w.rollout for w in self._workloads if w.replicas is not None]
        ends = all(one.pre_stop == 0 for one in rollouts)
        left = set(homes.values()) - {node}
        if not rollouts:
            return Foreseen((_NOTHING,))
        if not ends or not left or self.service.external_traffic_policy == "Cluster":
            return Foreseen(words=f"hangs on how the pods end; {_OVER}")
        lost = sum(part for pod, part in share.pods.items() if homes[pod] == node)
        noticed = how.interval * (how.threshold - 0.5)
        early, late = how.interval / 2, how.interval / 2 + 2 * SETTLE
        return Foreseen((Stretch(Phase(noticed, lost), early, late), _NOTHING), since=SETTLE)

    @property
    def _workloads(self) -> Sequence[Workload]:
        cluster, service = self.given
        return Paths(cluster).placements.behind(service)

    @property
    def _homes(self) -> dict[str, str | None]:
        """The node of each pod behind the Service."""
        port = self.service.ports[0]
        found = self.cluster.endpoints.get(self.service.port_name(port), ())
        return {endpoint.pod: endpoint.node for endpoint in found}


def _short(one: Rolling) -> str:
    serve = "an unknown time" if one.served is None else f"{one.served:g} s"
    needed = "for ever" if one.needed is None else f"{one.needed:g} s"
    return f"some: pods that end serve {serve} more, and may be sent to for {needed}; {_OVER}"
