"""The trade-off measured: both policies in one living lab, at rest and while something breaks.

The Service is there once under each policy, before the same pods: what breaks, breaks for both.
"""

from __future__ import annotations

import copy
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..lab.rehearsal import Answer, Notice, Script
from ..lab.stage import Stage
from ..manifests import World
from ..model.cluster import Cluster, Policy, Service
from ..model.comparison import (
    SIGNIFICANCE,
    Comparison,
    Disturbance,
    Event,
    Judged,
    Mark,
    Rest,
    Sample,
    Setup,
    Speed,
)
from ..model.failover import Phase
from ..model.fate import Fate, Seen
from ..predict.balancers import Balancer
from ..predict.entries import Entries
from ..predict.failover import Losses
from ..predict.path import Paths
from ..predict.share import Sender, shares
from .chance import binomial, chi_square
from .fit import stock_proxy

Object: TypeAlias = dict[str, object]

_SETTLE = 0.3
"""Seconds around a change in which both what was and what will be may be seen."""
_LEAD = 0.5
"""Seconds for which the load runs before something breaks."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. rate: connections a second under each policy. seconds: at rest, and for
    each measure of speed; events: what is to break, and for how many seconds it is watched (a dead
    node: after its grace)."""

    rate: float
    rest: float
    speed: float
    events: Mapping[Event, float]
    seed: int = 1

    def seconds(self, policies: int, grace: float) -> float:
        """About how long it takes."""
        watched = sum(self.events.values()) + 1.5 * len(self.events)
        return (
            1
            + self.rest
            + self.speed * (policies + 1)
            + watched
            + grace * ("node dies" in self.events)
        )


FULL = Plan(50, 5, 1, {"pod dies": 3, "rollout": 4, "node dies": 3, "drain": 4})
QUICK = Plan(50, 1.2, 0.2, {"node dies": 0.8})


@dataclass(frozen=True, slots=True)
class Doing:
    """What is being done. left: about how many seconds until the end."""

    what: str
    left: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What is compared. world: the input's, whose Lab says what stands around. objects: the
    workloads. service: the Service's own object; deployment: `namespace/name` of what to roll."""

    world: World
    service: Service
    declared: Object
    objects: Sequence[Object]
    deployment: str
    policies: Sequence[Policy]


def compare(stage: Stage, of: Subject, plan: Plan) -> Iterator[Doing | Comparison]:
    """Measure, and tell what is being done; the last is the Comparison. Raises UsageError,
    EnvironmentUnable, LabError."""
    return _Comparing(stage, of, plan).all()


class _Comparing:
    def __init__(self, stage: Stage, of: Subject, plan: Plan) -> None:
        self._stage, self._of, self._plan = stage, of, plan
        self._begun = time.monotonic()
        self._names: dict[Policy, str] = {
            policy: f"{of.service}-{policy.lower()}" for policy in of.policies
        }
        self._disturbances: list[Disturbance] = []

    def all(self) -> Iterator[Doing | Comparison]:
        """The whole."""
        of, plan, stage = self._of, self._plan, self._stage
        lab = replace(of.world.lab, external_proxy=stock_proxy(of.world))
        self._total = plan.seconds(len(of.policies), lab.node_grace_seconds)
        yield self._doing("building the lab")
        twins = [_twin(of, policy) for policy in of.policies]
        stage.play(Script(of.world.cluster, lab, [*of.objects, *twins]))
        self._cluster = stage.settled()
        nodes = _homes(self._cluster, self._service(of.policies[0]))
        yield self._doing("measuring at rest")
        stage.begin(plan.rate, plan.seed)
        time.sleep(plan.rest)
        answers, _ = stage.end()
        yield self._doing("measuring speed")
        direct = _speed(stage.handshakes(None, plan.speed))
        rest = tuple(self._rest(policy, answers[self._names[policy]]) for policy in of.policies)
        for event, seconds in plan.events.items():
            yield self._doing(f"{event}: watching what is lost")
            self._disturb(event, seconds)
        setup = Setup(
            service=str(of.service),
            nodes=nodes,
            client=str(of.world.cluster.client[0].ip),
            mode=of.world.cluster.proxy.mode,
            balancer=lab.balancer.kind,
            interval=lab.balancer.interval,
            threshold=lab.balancer.threshold,
            grace=lab.node_grace_seconds,
            rate=plan.rate,
            seed=plan.seed,
        )
        yield Comparison(
            setup=setup,
            version=of.world.cluster.kube_version,
            direct=direct,
            rest=rest,
            disturbances=tuple(self._disturbances),
            claims=(),
            elapsed=time.monotonic() - self._begun,
            notes=tuple(of.world.notes),
        )

    def _doing(self, what: str) -> Doing:
        return Doing(what, max(0.0, self._total - (time.monotonic() - self._begun)))

    def _service(self, policy: Policy) -> Service:
        name = self._names[policy]
        return next(one for one in self._cluster.services if str(one) == name)

    @property
    def _balancer(self) -> Balancer:
        kind = self._of.world.lab.balancer
        return Balancer(
            "health checks",
            one_node=kind.kind == "single-node",
            detection=kind.interval * (kind.threshold + 0.5),
        )

    # --- at rest ------------------------------------------------------------------------------

    def _rest(self, policy: Policy, answer: Answer) -> Rest:
        service = self._service(policy)
        seen = Counter(Seen(shot.pod, shot.source) for shot in answer.shots if shot.pod)
        pods = Counter[str]()
        for pair, count in seen.items():
            pods[pair.pod] += count
        predicted = self._predicted(service, pods)
        lost = len(answer.shots) - seen.total()
        fates = {Fate.DELIVERED: seen.total()} | ({Fate.MIXED: lost} if lost else {})
        client = str(self._cluster.client[0].ip)
        return Rest(
            policy=policy,
            fates=fates,
            seen=seen,
            predicted=predicted,
            p_value=chi_square(pods, predicted),
            client_ip="kept" if {pair.source_ip for pair in seen} == {client} else "replaced",
            hops=Counter(answer.hops),
            speed=_speed(self._stage.handshakes(str(service), self._plan.speed)),
        )

    def _predicted(self, service: Service, pods: Mapping[str, int]) -> Mapping[str, float]:
        """The shares. Nobody can say which node a single-node balancer has chosen: of the answers
        that there are, the one that fits best."""
        found = [share.pods for share in shares(self._cluster, service, self._balancer)]
        return max(found, key=lambda one: chi_square(pods, one))

    # --- what breaks --------------------------------------------------------------------------

    def _disturb(self, event: Event, seconds: float) -> None:
        """Break it, watch, mend it."""
        stage, plan = self._stage, self._plan
        cluster = self._cluster = stage.settled()
        homes = _homes(cluster, self._service(self._of.policies[0]))
        node = max(homes, key=lambda name: len(homes[name]))
        pod = f"{self._of.service.namespace}/{homes[node][0]}"
        fault, subject = {
            "node dies": ("cut", node),
            "pod dies": ("kill", pod),
            "rollout": ("roll", self._of.deployment),
            "drain": ("drain", node),
        }[event]
        stage.begin(plan.rate, plan.seed)
        time.sleep(_LEAD)
        at = stage.break_(fault, subject)
        if event == "node dies":
            seconds += self._of.world.lab.node_grace_seconds
        time.sleep(seconds)
        answers, notices = stage.end()
        undo = {"cut": "mend", "drain": "uncordon"}.get(fault)
        if undo:
            stage.break_(undo, subject)
        for policy in self._of.policies:
            name = self._names[policy]
            self._disturbances.append(
                self._disturbance(policy, event, subject, answers[name], notices, at)
            )

    def _disturbance(
        self,
        policy: Policy,
        event: Event,
        subject: str,
        answer: Answer,
        notices: Sequence[Notice],
        at: float,
    ) -> Disturbance:
        name = self._names[policy]
        samples = tuple(sorted(Sample(shot.at - at, shot.pod) for shot in answer.shots))
        marks = tuple(
            Mark(notice.at - at, notice.what)
            for notice in notices
            if notice.at >= at and notice.service in ("", name)
        )
        found = Disturbance(policy, event, subject, samples, marks)
        if event == "node dies":
            expected = self._expected(policy, subject)
            judged = tuple(self._judged(expected, found))
            agree = all(one.p_value >= SIGNIFICANCE for one in judged)
            return replace(found, expected=expected, judged=judged, agree=agree)
        quiet = [sample for sample in found.after[-len(found.after) // 4 :] if not sample.pod]
        return replace(found, agree=not quiet)

    def _expected(self, policy: Policy, node: str) -> tuple[Phase, ...]:
        """What predict says of the loss of this node."""
        paths = Paths(self._cluster)
        sender = Sender(paths, self._service(policy), self._balancer)
        grace = self._of.world.lab.node_grace_seconds
        losses = Losses(sender, Entries(paths), grace).all()
        return next((loss.phases for loss in losses if node in loss.nodes), ())

    def _judged(self, expected: Sequence[Phase], found: Disturbance) -> Iterator[Judged]:
        """Each phase, as far as it is sure to have begun and not yet to have ended: a check may
        have been made just before the cut or just after it, and so may a kubelet's sign of life."""
        since = 0.0
        for phase in expected:
            until = found.samples[-1].at if phase.until is None else phase.until
            early, late = self._margins(phase)
            if until - early > since:
                sent = [s for s in found.after if since <= s.at < until - early]
                lost = sum(not sample.pod for sample in sent)
                p_value = binomial(lost, len(sent), phase.lost)
                yield Judged(since, until - early, phase.lost, len(sent), lost, p_value)
            since = until + late

    def _margins(self, phase: Phase) -> tuple[float, float]:
        """How much earlier and later than told a phase may end, in seconds."""
        kind, grace = self._of.world.lab.balancer, self._of.world.lab.node_grace_seconds
        if phase.until is None:
            return 0.0, 0.0
        if phase.until == grace:
            return grace / 5 + _SETTLE, 2 * _SETTLE
        return kind.interval / 2, kind.interval / 2 + _SETTLE


def _twin(of: Subject, policy: Policy) -> Object:
    """The Service as a LoadBalancer under one policy, with addresses and ports of its own."""
    found = copy.deepcopy(of.declared)
    spec = found["spec"]
    assert isinstance(spec, dict)
    for field in ("clusterIP", "clusterIPs", "healthCheckNodePort", "loadBalancerIP"):
        spec.pop(field, None)
    for port in spec["ports"]:
        port.pop("nodePort", None)
    spec |= {"type": "LoadBalancer", "externalTrafficPolicy": policy}
    name = f"{of.service.name}-{policy.lower()}"
    return found | {"metadata": {"name": name, "namespace": of.service.namespace}}


def _homes(cluster: Cluster, service: Service) -> dict[str, tuple[str, ...]]:
    """The ready pods of a Service, by node."""
    found = defaultdict[str, list[str]](list)
    for endpoint in cluster.endpoints_of(service, service.ports[0], 4):
        if endpoint.ready:
            found[str(endpoint.node)].append(endpoint.pod)
    return {node.name: tuple(found[node.name]) for node in cluster.nodes}


def _speed(measured: tuple[list[float], float]) -> Speed:
    took, per_second = measured
    return Speed(tuple(sorted(took)), per_second)
