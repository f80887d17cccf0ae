"""The trade-off measured: both policies in one living lab, at rest and while something breaks.

The Service is there once under each policy, before the same pods: what breaks, breaks for both.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..lab.client import Lab
from ..lab.rehearsal import Answer, Notice, Script
from ..lab.stage import Stage
from ..lab.timing import RELIST
from ..model.cluster import Policy, Service
from ..model.comparison import (
    STRAY,
    Comparison,
    Disturbance,
    Event,
    Mark,
    Rest,
    Sample,
    Setup,
    Speed,
)
from ..model.fate import Fate, Seen, Trial
from .chance import chi_square, losses
from .events import Held, Probed
from .exhibits import exhibits
from .fit import stock_proxy
from .foresight import Foresight
from .run import run
from .sayings import Measured, claims
from .subject import Subject, twin

_TICK, _ROUNDS = 0.2, 5
_FAULTS: Mapping[Event, tuple[str, str]] = {
    "node dies": ("cut", "mend"),
    "pod dies": ("kill", ""),
    "rollout": ("roll", ""),
    "drain": ("drain", "uncordon"),
}
"""What is done, and what undoes it."""


_KILLED = (
    f"pod dies: its processes are killed, its kubelet notices after {RELIST:g} s (how often real"
    " ones look) and starts it again at once; a real program takes its own time to start on top"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. rate: connections a second under each policy; rest_rate: at rest, where
    the shares hang on their number. Seconds: rest, at rest; speed, for each measure of it; lead,
    before something breaks; events: what is to break, and how long it is watched (a dead node:
    after its grace)."""

    rate: float
    rest_rate: float
    rest: float
    speed: float
    lead: float
    events: Mapping[Event, float]
    seed: int = 1

    def seconds(self, policies: int, grace: float) -> float:
        """About how long it takes."""
        watched = sum(self.events.values()) + (self.lead + _MENDING) * len(self.events)
        watched += grace * ("node dies" in self.events)
        return _BUILDING + self.rest + self.speed * (policies + 1) + watched


_BUILDING, _MENDING = 2.0, 1.5
FULL = Plan(50, 200, 5, 1, 1, {"pod dies": 3, "rollout": 5, "node dies": 3, "drain": 5})
QUICK = Plan(80, 300, 1.2, 0.15, 0.3, {"node dies": 1})


@dataclass(frozen=True, slots=True)
class Doing:
    """What is being done. done, total: about how many seconds of it all."""

    what: str
    done: float
    total: float


def compare(lab: Lab, stage: Stage, of: Subject, plan: Plan) -> Iterator[Doing | Comparison]:
    """Measure, and tell what is being done; the last is the Comparison. lab: for single flows,
    stage: for everything else. Raises UsageError, EnvironmentUnable, LabError."""
    events = {event: time for event, time in plan.events.items() if event not in of.left_out}
    return _Comparing(lab, stage, of, replace(plan, events=events)).all()


class _Comparing:
    def __init__(self, lab: Lab, stage: Stage, of: Subject, plan: Plan) -> None:
        self._lab, self._stage, self._of, self._plan = lab, stage, of, plan
        self._begun = time.monotonic()
        self._grace = of.world.lab.node_grace_seconds
        self._total = plan.seconds(len(of.policies), self._grace)
        self._names: dict[Policy, str] = {
            policy: f"{of.service}-{policy.lower()}" for policy in of.policies
        }
        self._doing = "building the lab"
        self._rest: list[Rest] = []
        self._disturbances: list[Disturbance] = []
        self._trials: list[Trial] = []
        self._held = (0, 0)

    def all(self) -> Iterator[Doing | Comparison]:
        """The whole."""
        of, plan, stage = self._of, self._plan, self._stage
        yield self._now("building the lab, trying single flows")
        self._shown = exhibits(of.world, of.service, of.port, of.family)
        twins = [twin(of, policy) for policy in of.policies]
        described = replace(of.world.lab, external_proxy=stock_proxy(of.world))
        script = Script(of.world.cluster, described, [*of.objects, *twins])
        stage.play(script)
        self._try()
        stage.played()
        self._settle()
        nodes = self._homes()
        yield from self._measure()
        for event, seconds in plan.events.items():
            yield from self._disturb(event, seconds)
        yield self._found(nodes)

    def _now(self, what: str = "") -> Doing:
        self._doing = what or self._doing
        return Doing(self._doing, min(time.monotonic() - self._begun, self._total), self._total)

    def _wait(self, seconds: float) -> Iterator[Doing]:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _TICK))
            yield self._now()

    def _settle(self) -> None:
        """Once nothing is on its way, everything is foreseen anew: pods may be others."""
        self._cluster, ways = self._stage.settled(), self._stage.ways()
        one_place = self._of.world.lab.balancer.kind == "single-node"
        given = self._of.world.cluster, self._of.service
        self._foresights = {
            policy: Foresight(
                self._cluster,
                self._service(policy),
                self._of.world.lab,
                ways[name][0] if one_place else None,
                given,
            )
            for policy, name in self._names.items()
        }

    def _service(self, policy: Policy) -> Service:
        name = self._names[policy]
        return next(one for one in self._cluster.services if str(one) == name)

    def _homes(self) -> dict[str, tuple[str, ...]]:
        """The ready pods of the Service, by node."""
        found = defaultdict[str, list[str]](list)
        service = self._service(self._of.policies[0])
        for endpoint in self._cluster.endpoints_of(service, service.ports[0], self._of.family):
            if endpoint.ready:
                found[str(endpoint.node)].append(endpoint.pod)
        return {node.name: tuple(found[node.name]) for node in self._cluster.nodes}

    # --- single flows -------------------------------------------------------------------------

    def _try(self) -> None:
        if self._shown is None:
            return
        for event in run(self._lab, self._shown.world, self._shown.one, self._shown.plan):
            if isinstance(event, Probed):
                self._trials.append(event.trial)
            elif isinstance(event, Held):
                self._held = event.alive, event.total

    # --- at rest ------------------------------------------------------------------------------

    def _measure(self) -> Iterator[Doing]:
        plan, stage = self._plan, self._stage
        yield self._now("measuring at rest")
        stage.begin(plan.rest_rate, plan.seed)
        yield from self._wait(plan.rest)
        answers, _ = stage.end()
        yield self._now("measuring speed")
        took = defaultdict[str | None, list[float]](list)
        for _ in range(_ROUNDS):  # by turns, so that what else the machine does hits all alike
            for name in (None, *self._names.values()):
                took[name] += stage.handshakes(name, plan.speed / _ROUNDS)
            yield self._now()
        speeds = {name: Speed(tuple(sorted(each))) for name, each in took.items()}
        self._direct = speeds[None]
        for policy, name in self._names.items():
            self._rest.append(self._at_rest(policy, answers[name], speeds[name]))

    def _at_rest(self, policy: Policy, answer: Answer, speed: Speed) -> Rest:
        seen = Counter(Seen(shot.pod, shot.source) for shot in answer.shots if shot.pod)
        pods = Counter(shot.pod for shot in answer.shots if shot.pod)
        share = self._foresights[policy].share()
        astray = sum(share.lost.values())
        ready = [pod for here in self._homes().values() for pod in here]
        lost = len(answer.shots) - seen.total()
        fates = {Fate.DELIVERED: seen.total()} | ({Fate.MIXED: lost} if lost else {})
        clients = {str(interface.ip) for interface in self._cluster.client}
        kept = bool(seen) and {pair.source_ip for pair in seen} <= clients
        return Rest(
            policy=policy,
            fates=fates,
            seen=seen,
            predicted={pod: share.pods.get(pod, 0.0) for pod in ready},
            p_value=min(
                chi_square(pods, {pod: part / (1 - astray) for pod, part in share.pods.items()}),
                losses(lost, len(answer.shots), astray, STRAY),
            ),
            client_ip="kept" if kept else "replaced",
            hops=Counter(answer.hops),
            speed=speed,
        )

    # --- what breaks --------------------------------------------------------------------------

    def _disturb(self, event: Event, seconds: float) -> Iterator[Doing]:
        """Break it, watch, mend it."""
        stage, plan = self._stage, self._plan
        yield self._now(f"{event}: waiting until all is quiet")
        self._settle()
        subject, (fault, undo) = self._victim(event), _FAULTS[event]
        yield self._now(f"{event}: watching what is lost")
        stage.begin(plan.rate, plan.seed)
        yield from self._wait(plan.lead)
        at = stage.break_(fault, subject)
        yield from self._wait(seconds + self._grace * (event == "node dies"))
        answers, notices = stage.end()
        if undo:
            stage.break_(undo, subject)
        for policy, name in self._names.items():
            found = self._disturbance(policy, event, subject, answers[name], notices, at)
            self._disturbances.append(found)

    def _victim(self, event: Event) -> str:
        """A node: the one that the balancer sends to, if it is the only one; else, or a pod's, the
        one with most pods."""
        if event == "rollout":
            return self._of.deployment
        homes, holder = self._homes(), self._foresights[self._of.policies[0]].holder
        fullest = max(homes, key=lambda name: len(homes[name]))
        if event == "pod dies":
            return f"{self._of.service.namespace}/{homes[fullest][0]}"
        return holder or fullest

    def _disturbance(
        self,
        policy: Policy,
        event: Event,
        subject: str,
        answer: Answer,
        notices: Sequence[Notice],
        at: float,
    ) -> Disturbance:
        foresight = self._foresights[policy]
        samples = tuple(sorted(Sample(shot.at - at, shot.pod) for shot in answer.shots))
        marks = tuple(
            Mark(notice.at - at, notice.what)
            for notice in notices
            if notice.at >= at and notice.service in ("", self._names[policy])
        )
        foreseen = foresight.of(event, subject)
        judged = tuple(foresight.judged(foreseen, samples))
        return Disturbance(
            policy, event, subject, samples, marks, foreseen.phases, foreseen.words, judged
        )

    # --- all of it ----------------------------------------------------------------------------

    def _found(self, nodes: Mapping[str, tuple[str, ...]]) -> Comparison:
        of = self._of
        lab, cluster = of.world.lab, of.world.cluster
        measured = Measured(
            self._shown,
            self._trials,
            self._held,
            self._rest,
            self._disturbances,
            self._grace,
            self._weighted(),
        )
        skipped = [f"{event}: left out, {why}" for event, why in of.left_out.items()]
        if "pod dies" in self._plan.events:
            skipped.append(_KILLED)
        return Comparison(
            setup=Setup(
                service=str(of.service),
                nodes=nodes,
                client=str(next(i.ip for i in cluster.client if i.version == of.family)),
                mode=cluster.proxy.mode,
                balancer=lab.balancer.kind,
                interval=lab.balancer.interval,
                threshold=lab.balancer.threshold,
                grace=self._grace,
                rate=self._plan.rate,
                rest_rate=self._plan.rest_rate,
                seed=self._plan.seed,
            ),
            version=cluster.kube_version,
            direct=self._direct,
            rest=tuple(self._rest),
            disturbances=tuple(self._disturbances),
            trials=tuple(self._trials),
            claims=tuple(claims(measured)),
            elapsed=time.monotonic() - self._begun,
            notes=(*of.world.notes, *of.notes, *skipped, *self._lab.notes),
        )

    def _weighted(self) -> float | None:
        """The busiest pod's share under Local, in even shares, behind a balancer that heeds
        weights."""
        if "Local" not in self._foresights:
            return None
        pods = self._foresights["Local"].share(weighted=True).pods
        return max(pods.values(), default=0.0) * len(pods)
