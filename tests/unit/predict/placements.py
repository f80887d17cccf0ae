"""Every placement of a small cluster, found by trying: what the answers are held against.

Written from the scheduler's documentation alone; shares nothing with the product but manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support import deployment, service

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class Machine:
    """A node. disk: the label by which a nodeSelector chooses it."""

    name: str
    zone: str = ""
    tainted: bool = False
    cordoned: bool = False
    disk: bool = True

    def manifest(self, number: int) -> dict[str, Any]:
        labels = {HOST: self.name}
        labels |= {ZONE: self.zone} if self.zone else {}
        labels |= {"disk": "ssd"} if self.disk else {}
        taints = [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"unschedulable": self.cordoned, "taints": taints if self.tainted else []},
            "status": {"addresses": [{"type": "InternalIP", "address": f"10.1.0.{number + 1}"}]},
        }


@dataclass(frozen=True)
class Rule:
    """A DoNotSchedule spread. shared: it counts the pods of every workload."""

    key: str
    skew: int
    least_domains: int = 1
    heeds_taints: bool = False
    ignores_selector: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Pods:
    """A workload. replicas: None for a DaemonSet."""

    name: str
    replicas: int | None
    rules: tuple[Rule, ...] = ()
    apart: bool = False
    tolerates: bool = False
    chooses: bool = False

    def manifest(self) -> dict[str, Any]:
        own = {"matchLabels": {"tier": self.name}}
        spreads = [
            {
                "topologyKey": rule.key,
                "maxSkew": rule.skew,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}} if rule.shared else own,
                "minDomains": rule.least_domains,
                "nodeTaintsPolicy": "Honor" if rule.heeds_taints else "Ignore",
                "nodeAffinityPolicy": "Ignore" if rule.ignores_selector else "Honor",
            }
            for rule in self.rules
        ]
        spec: dict[str, Any] = {"topologySpreadConstraints": spreads}
        if self.apart:
            term = {"topologyKey": HOST, "labelSelector": own}
            required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
            spec["affinity"] = {"podAntiAffinity": required}
        if self.tolerates:
            spec["tolerations"] = [{"key": "dedicated", "operator": "Exists"}]
        if self.chooses:
            spec["nodeSelector"] = {"disk": "ssd"}
        made = deployment(self.name, self.replicas or 1)
        made["spec"]["template"]["metadata"]["labels"] = {"app": "web", "tier": self.name}
        made["spec"]["selector"] = own
        made["spec"]["template"]["spec"] |= spec
        if self.replicas is None:
            made["kind"] = "DaemonSet"
            del made["spec"]["replicas"]
        return made

    def selects(self, machine: Machine) -> bool:
        return machine.disk or not self.chooses

    def tolerated(self, machine: Machine) -> bool:
        cordoned = machine.cordoned and self.replicas is not None
        return not cordoned and (self.tolerates or not machine.tainted)


State = tuple[tuple[int, ...], ...]
"""For each workload its pods on each machine."""


def manifests(machines: tuple[Machine, ...], workloads: tuple[Pods, ...]) -> list[dict[str, Any]]:
    nodes = [machine.manifest(number) for number, machine in enumerate(machines)]
    made = [workload.manifest() for workload in workloads]
    return [*nodes, *made, service(externalTrafficPolicy="Local")]


def outcomes(machines: tuple[Machine, ...], workloads: tuple[Pods, ...]) -> set[State]:
    """The placements in which no pod that is left fits anywhere."""
    start = tuple(
        tuple(int(w.replicas is None and w.selects(m) and w.tolerated(m)) for m in machines)
        for w in workloads
    )
    seen, pending, ends = {start}, [start], set()
    while pending:
        state = pending.pop()
        nexts = set(_steps(machines, workloads, state))
        if not nexts:
            ends.add(state)
        pending += nexts - seen
        seen |= nexts
    return ends


def _steps(
    machines: tuple[Machine, ...], workloads: tuple[Pods, ...], state: State
) -> Iterator[State]:
    for w, workload in enumerate(workloads):
        if workload.replicas is None or sum(state[w]) == workload.replicas:
            continue
        for m in range(len(machines)):
            if _fits(machines, workloads, state, w, m):
                row = tuple(count + (n == m) for n, count in enumerate(state[w]))
                yield (*state[:w], row, *state[w + 1 :])


def _fits(
    machines: tuple[Machine, ...], workloads: tuple[Pods, ...], state: State, w: int, m: int
) -> bool:
    workload, machine = workloads[w], machines[m]
    if not (workload.selects(machine) and workload.tolerated(machine)):
        return False
    if workload.apart and state[w][m]:
        return False
    keys = {rule.key for rule in workload.rules}
    if ZONE in keys and not machine.zone:
        return False
    for rule in workload.rules:
        counted: dict[str, int] = {}
        for n, other in enumerate(machines):
            skipped = (
                (ZONE in keys and not other.zone)
                or not (rule.ignores_selector or workload.selects(other))
                or (rule.heeds_taints and not _taints_pass(workload, other))
            )
            if not skipped:
                here = sum(row[n] for row in state) if rule.shared else state[w][n]
                domain = _domain(rule, other)
                counted[domain] = counted.get(domain, 0) + here
        least = min(counted.values()) if len(counted) >= rule.least_domains else 0
        if counted[_domain(rule, machine)] + 1 - least > rule.skew:
            return False
    return True


def _taints_pass(workload: Pods, machine: Machine) -> bool:
    return not machine.cordoned and (workload.tolerates or not machine.tainted)


def _domain(rule: Rule, machine: Machine) -> str:
    return machine.name if rule.key == HOST else machine.zone


def verdict(held: Mapping[State, bool]) -> str:
    """Whether something holds in all, some or none of the placements."""
    values = set(held.values())
    return "possible" if len(values) > 1 else "certain" if values == {True} else "impossible"
