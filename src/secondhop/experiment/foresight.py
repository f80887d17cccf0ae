"""What is predicted of the moment when something breaks, and how likely the measurement is then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..lab.timing import RELIST
from ..manifests import Lab
from ..model.cluster import Cluster, Service
from ..model.comparison import Event, Judged, Sample
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


class Foreseen(NamedTuple):
    """phases: the fraction of connections that is lost, and until when; words: what can be said
    where that is not known."""

    phases: tuple[Phase, ...] = ()
    words: str = ""


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
            return Foreseen(self._node_dies(subject))
        if event == "pod dies":
            return self._pod_dies(subject.rpartition("/")[2])
        if event == "rollout":
            return self._rollout(subject)
        return Foreseen(words=f"hangs on how the pods end; {_OVER}")

    def judged(self, phases: Sequence[Phase], samples: Sequence[Sample]) -> Iterator[Judged]:
        """Each phase, as far as it is sure to have begun and not yet to have ended: a check may
        have been made just before the event or just after it, and so may a kubelet's sign of life.
        Without phases: the end of the time."""
        after = [sample for sample in samples if sample.at >= 0]
        last = after[-1].at if after else 0.0
        since = 0.0
        for phase in phases or (Phase(None, 0.0),):
            until = last if phase.until is None else phase.until
            early, late = self._margins(phase)
            if not phases:
                since = (1 - _QUIET) * last
            if until - early > since:
                sent = [sample for sample in after if since <= sample.at <= until - early]
                lost = sum(not sample.pod for sample in sent)
                p_value = losses(lost, len(sent), phase.lost)
                yield Judged(since, until - early, phase.lost, len(sent), lost, p_value)
            since = until + late

    @property
    def _balancer(self) -> Balancer:
        how = self.lab.balancer
        one = how.kind == "single-node"
        detection = how.interval * (how.threshold + 0.5)
        return Balancer("health checks", one_node=one, detection=detection)

    def _margins(self, phase: Phase) -> tuple[float, float]:
        """How much earlier and later than told a phase may end, in seconds."""
        interval, grace = self.lab.balancer.interval, self.lab.node_grace_seconds
        if phase.until is None:
            return 0.0, 0.0
        if phase.until == grace:
            return grace / 5 + SETTLE, 2 * SETTLE
        if phase.until == RELIST:
            return SETTLE, SETTLE
        return interval / 2, interval / 2 + SETTLE

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
        return Foreseen((Phase(RELIST, lost), Phase(None, 0.0)))

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
        return Foreseen((Phase(None, 0.0),))

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
