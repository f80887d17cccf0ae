"""Holding the lab against the recordings: every recorded probe made once more, with real packets.

No prediction is asked. A probe agrees if its fate is the recorded one in every attempt, and a
health check's answer; if it meets every pod that the recording met, in as many attempts as that
takes; if each of those pods sees one source address, and so the recorded ones as often; and if
over a whole scenario the recording is spread over the pods that the lab meets as chance has it.
With session affinity the attempts of a probe must all meet one pod, and where they may go and what
is seen there is then looked at without affinity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from secondhop.lab.client import Lab
from secondhop.model.cluster import Cluster
from secondhop.model.fate import Fate, Observation
from secondhop.model.flow import Flow

from .cases import RATE_LIMITED, Probe, Scenario, key, recorded

AT_ONCE = 192
"""Connections that are made together: those that nobody answers take a second, and too many that
circle overflow the kernel's queues."""
UNCLAIMED = "no rule reported"
"""What an observation says of silence without a cause. A busy machine's queues cause some, so it is
tried again, alone."""
MOST_ROUNDS = 20
SIGMAS = 5.0


def comparable(scenario: Scenario) -> list[Probe]:
    """The probes that tell something."""
    return [probe for probe in scenario.probes if key(scenario, probe) not in RATE_LIMITED]


@dataclass(slots=True)
class Met:
    """What came of a probe in the lab, in all its attempts."""

    fates: Counter[Fate] = field(default_factory=Counter)
    sources: dict[str, set[str]] = field(default_factory=dict)
    evidence: str = ""
    http: object = None

    def add(self, observed: Observation) -> None:
        self.fates.update(observed.fates)
        self.http = observed.http
        self.evidence = observed.evidence
        for pod, source in observed.seen:
            self.sources.setdefault(pod, set()).add(source)


def contradictions(scenario: Scenario, attempts: int | None = None) -> list[str]:
    """What a lab of its own does otherwise than the recording. attempts: at first, of each probe;
    None: as many as were recorded."""
    cluster, probes = scenario.cluster, comparable(scenario)
    [service] = cluster.services
    free = replace(cluster, services=(replace(service, affinity_timeout=None),))
    found = []
    with Lab() as lab:
        ready = lab.start(cluster)
        assert all(ready.values()), lab.notes
        if service.affinity_timeout is not None:
            lab.program(cluster)
            for probe, met in zip(probes, _made(lab, probes, attempts), strict=True):
                if len(met.sources) > 1:
                    found.append(f"{key(scenario, probe)}: affinity, but {set(met.sources)}")
        lab.program(free)
        made = _made(lab, probes, attempts)
        _meet_all(lab, probes, made)
    pairs = list(zip(probes, made, strict=True))
    for probe, met in pairs:
        found += [f"{key(scenario, probe)}: {said}" for said in objections(probe, met)]
    if service.affinity_timeout is None:
        found += uneven(pairs)
    return found


def objections(probe: Probe, met: Met) -> Iterator[str]:
    """What one probe says against what the lab met."""
    if met.fates.keys() != {probe.fate}:
        yield f"{probe.fate}, the lab {dict(met.fates)} ({met.evidence})"
    elif met.http != probe.http:
        yield f"health {probe.http}, the lab {met.http}"
    elif probe.fate is Fate.DELIVERED and probe.http is None:
        expected: Counter[str] = Counter()
        for pod, count in probe.pods.items():
            for source in met.sources.get(pod, {f"{pod} not met"}):
                expected[source] += count
        if expected != {str(source): count for source, count in probe.sources.items()}:
            yield f"saw {probe.pods} {probe.sources}, the lab {met.sources}"


def uneven(pairs: Iterable[tuple[Probe, Met]]) -> Iterator[str]:
    """Pods that the recording met less or more often than the lab lets expect: each of n pods
    once in n times, over all probes of a scenario that have n."""
    drawn: Counter[tuple[str, int]] = Counter()
    tried: Counter[tuple[str, int]] = Counter()
    for probe, met in pairs:
        for pod in met.sources:
            drawn[pod, len(met.sources)] += probe.pods.get(pod, 0)
            tried[pod, len(met.sources)] += probe.attempts
    for (pod, among), attempts in tried.items():
        share = 1 / among
        surprise = abs(drawn[pod, among] - share * attempts)
        if surprise > SIGMAS * sqrt(attempts * share * (1 - share)):
            yield f"{pod}: {drawn[pod, among]} of {attempts}, in the lab one of {among}"


def _made(lab: Lab, probes: Sequence[Probe], attempts: int | None) -> list[Met]:
    made = [Met() for _ in probes]
    _again(lab, list(zip(probes, made, strict=True)), attempts)
    return made


def _meet_all(lab: Lab, probes: Sequence[Probe], made: Sequence[Met]) -> None:
    """Go on where a pod of the recording has not been met."""
    for _ in range(MOST_ROUNDS):
        missing = [
            (probe, met)
            for probe, met in zip(probes, made, strict=True)
            if met.fates.keys() == {Fate.DELIVERED} and not probe.pods.keys() <= met.sources.keys()
        ]
        if not missing:
            return
        _again(lab, missing, None)


def _again(lab: Lab, pairs: Sequence[tuple[Probe, Met]], attempts: int | None) -> None:
    groups: dict[object, list[tuple[Probe, Met]]] = {}
    for probe, met in pairs:
        groups.setdefault((probe.flow.via, probe.attempts), []).append((probe, met))
    for group in groups.values():
        count = min(group[0][0].attempts, attempts or group[0][0].attempts)
        for start in range(0, len(group), AT_ONCE // count):
            part = group[start : start + AT_ONCE // count]
            seen = lab.observe([_flow(probe) for probe, _ in part], count)
            for (probe, met), (observed, _) in zip(part, seen, strict=True):
                if observed.fate is not probe.fate and UNCLAIMED in observed.evidence:
                    [(observed, _)] = lab.observe([_flow(probe)], count)
                met.add(observed)


def _flow(probe: Probe) -> Flow:
    """As the lab is asked: it reads an answer as a health check's only if it is told so."""
    if probe.http is None:
        return probe.flow
    asked = replace(probe.flow.destination, kind="healthCheckNodePort")
    return replace(probe.flow, destination=asked)


def sample() -> list[Scenario]:
    """Few scenarios in which all senders, addresses, families and protocols come with every fate
    that they were recorded with, in both modes: the one that brings most that is new, again and
    again."""
    kinds = {scenario.name: _kinds(scenario) for scenario in recorded()}
    left = set().union(*kinds.values())
    chosen = []
    while left:
        best = max(recorded(), key=lambda scenario: len(kinds[scenario.name] & left))
        chosen.append(best)
        left -= kinds[best.name]
    return chosen


def _kinds(scenario: Scenario) -> set[object]:
    found: set[object] = set()
    mode = scenario.cluster.proxy.mode
    for probe in comparable(scenario):
        to, what = probe.flow.destination, (probe.fate, probe.http is not None)
        found.add((mode, probe.flow.source.kind, what))
        found.add((mode, _whose(scenario.cluster, probe), what))
        found.add((to.protocol, to.address.version, what))
    return found


def _whose(cluster: Cluster, probe: Probe) -> str:
    """What kind of address is dialled."""
    address, [service] = probe.flow.destination.address, cluster.services
    for node in cluster.nodes:
        own = [i.ip for i in node.addresses if i.version == address.version]
        own += [ip for ip in (node.bridge_address(4), node.overlay_address(4)) if ip]
        if address in own:
            return f"address {own.index(address)} of a node"
    kinds = {
        "cluster IP": service.cluster_ips,
        "external IP": service.external_ips,
        "balancer's": [ingress.ip for ingress in service.ingress],
    }
    return next((kind for kind, known in kinds.items() if address in known), str(address))
