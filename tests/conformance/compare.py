"""Holding predict against the recordings: every contradiction in words, strictly.

A recorded scenario agrees when for each probe the fate is the predicted one; every pod seen was
predicted, with that source address (the recording counts pods and addresses apart, so the counts
must add up); a pod not seen could be missed by chance with probability 1e-5 at least; shares are
plausible over the whole scenario; and a health check has the same status and count. With session
affinity, connections that reach a node from one address must have one pod, so that shares and
unseen pods tell nothing there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import sqrt

from secondhop.model.fate import Fate, Outcome
from secondhop.predict.endpoints import Listed, usable
from secondhop.predict.path import Paths
from secondhop.predict.story import outcome
from secondhop.predict.verdict import Action, Packet

from .cases import (
    RATE_LIMITED,
    Probe,
    Scenario,
    Selection,
    UnitFlow,
    categorize,
    key,
    packetflow,
    recorded,
)

CHANCE = 1e-5
SIGMAS = 5.0


def contradictions(scenario: Scenario) -> list[str]:
    """What a recorded scenario says against predict."""
    paths = Paths(scenario.cluster)
    sticky = scenario.cluster.services[0].affinity_timeout is not None
    pins: dict[object, set[str]] = {}
    drawn: Counter[tuple[str, float]] = Counter()
    tried: Counter[tuple[str, float]] = Counter()
    found = []
    for probe in scenario.probes:
        if key(scenario, probe) in RATE_LIMITED:
            continue
        trail = paths.walk(probe.flow)
        predicted = outcome(trail)
        found += [f"{key(scenario, probe)}: {said}" for said in objections(probe, predicted)]
        if sticky and probe.pods:
            entry = trail.hops[-1]
            pins.setdefault((entry.node.name, entry.packet.source), set()).update(probe.pods)
            continue
        for backend in predicted.backends:
            drawn[backend.pod, backend.share] += probe.pods.get(backend.pod, 0)
            tried[backend.pod, backend.share] += probe.attempts
            if backend.pod not in probe.pods and (1 - backend.share) ** probe.attempts < CHANCE:
                found.append(f"{key(scenario, probe)}: {backend.pod} was never seen")
    found += [f"{pin}: not one pod but {pods}" for pin, pods in pins.items() if len(pods) != 1]
    for (pod, share), attempts in tried.items():
        surprise = abs(drawn[pod, share] - share * attempts)
        if surprise > SIGMAS * sqrt(attempts * share * (1 - share)):
            found.append(f"{pod}: {drawn[pod, share]} of {attempts}, predicted {share:.3f}")
    return found


def objections(probe: Probe, predicted: Outcome) -> Iterator[str]:
    """What one probe says against its prediction, chance aside."""
    if predicted.fate != probe.fate:
        yield f"{probe.fate}, predicted {predicted.fate} ({predicted.reason})"
    elif predicted.http != probe.http:
        yield f"health {probe.http}, predicted {predicted.http}"
    elif probe.fate is Fate.DELIVERED and probe.http is None:
        sources = {backend.pod: backend.source_ip for backend in predicted.backends}
        expected: Counter[object] = Counter()
        for pod, count in probe.pods.items():
            expected[sources.get(pod)] += count
        if expected != Counter(probe.sources):
            yield f"saw {probe.pods} {probe.sources}, predicted {sources}"


def unit_flow_contradiction(case: UnitFlow) -> str:
    """What a packet-flow case says against the verdict of its node; empty when it agrees.

    The cases end at kube-proxy's rules: no routes, no sockets, and `ACCEPT` is the rule that
    iptables has for a health check port.
    """
    paths = Paths(case.cluster)
    node = case.cluster.nodes[0]
    to = case.flow.destination
    packet = Packet(case.flow.source.ip, to.address, to.port, to.protocol)
    made_here = paths.routes.is_local(node, packet.source)
    verdict = paths.proxy.decide(node, packet, made_here=made_here)
    masqueraded = verdict.masquerade or any(
        paths.proxy.hairpin(node, packet, e) for e in verdict.endpoints
    )
    said = {
        Action.TRANSLATE: ", ".join(map(str, verdict.endpoints)),
        Action.DROP: "DROP",
        Action.REJECT: "REJECT",
        Action.PASS: "ACCEPT" if verdict.chain == "KUBE-NODEPORTS" else "",
    }[verdict.action]
    if (said, masqueraded) == (case.output, case.masqueraded):
        return ""
    return f"{case.number}: {packet} {said!r} {masqueraded}, not {case.output!r}"


def selection_contradiction(case: Selection) -> str:
    """What a case of endpoint selection says against ours; empty when it agrees."""
    listed, cluster, local = Listed(case.endpoints), case.uses_cluster, case.uses_local
    found = usable(listed, case.node, uses_cluster=cluster, uses_local=local)
    lists = frozenset(map(str, found.cluster)), frozenset(map(str, found.local))
    if (*lists, found.anywhere) == (case.cluster, case.local, case.anywhere):
        return ""
    return f"{case.number}: {lists} {found.anywhere}"


def all_contradictions() -> list[str]:
    """Everything that all recordings say against predict."""
    said = [selection_contradiction(case) for case in categorize()]
    said += [unit_flow_contradiction(case) for case in packetflow()]
    return [s for s in said if s] + [s for case in recorded() for s in contradictions(case)]
