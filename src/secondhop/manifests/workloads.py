"""Workloads of the input: what decides where the pods that it does not place may be placed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from ..model.cluster import ServicePortName
from ..model.labels import selects
from ..model.workload import HOSTNAME, Rollout, Spread, Workload, WorkloadKind
from .endpoints import Selection, backed
from .pods import Wanted
from .problems import invalid
from .resource import Resource, dig
from .scheduling import Ground, node_affinity, pod_affinity

_SLEEPS = ("sleep", "/bin/sleep", "/usr/bin/sleep")
_SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash")


class Unit(NamedTuple):
    """A workload, or a pod that stands alone, by one of its pods."""

    one: Wanted
    size: int

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec of its pods."""
        found: Mapping[str, Any] = self.one.resource.get(*self.one.base) or {}
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return self.one.pod.labels

    @property
    def namespace(self) -> str:
        """Of the object."""
        return self.one.pod.namespace

    @property
    def host_ports(self) -> set[tuple[str, int]]:
        """Ports that its pods take of their node."""
        on_host = self.one.pod.host_network
        return {
            (port.get("protocol") or "TCP", port.get("hostPort") or port["containerPort"])
            for container in self.spec.get("containers") or ()
            for port in container.get("ports") or ()
            if on_host or port.get("hostPort")
        }


def units(wanted: Iterable[Wanted]) -> list[Unit]:
    """The workloads of some pods, in their order."""
    found: dict[int, list[Wanted]] = {}
    for one in wanted:
        found.setdefault(id(one.resource.document.object), []).append(one)
    return [Unit(pods[0], len(pods)) for pods in found.values()]


def read_workloads(every: Sequence[Unit], ground: Ground) -> list[Workload]:
    """A Workload for each unit. Mistakes in its constraints are refused on the resource."""
    crowd = _Crowd(every)
    return [_workload(unit, ground, crowd) for unit in every]


def _workload(unit: Unit, ground: Ground, crowd: _Crowd) -> Workload:
    one, spec = unit.one, unit.spec
    daemon = one.resource.kind == "DaemonSet"
    constraints = list(_constraints(unit))
    keys = [constraint["topologyKey"] for constraint in constraints]
    where = ground.labelled(ground.where(spec, daemon=daemon), keys)
    spreads = tuple(_spread(unit, ground, constraint, keys) for constraint in constraints)
    apart = [term for term in _anti_affinity(unit) if crowd.counts_itself(unit, term)]
    return Workload(
        kind=cast(WorkloadKind, one.resource.kind),
        namespace=unit.namespace,
        name=one.owner,
        replicas=None if daemon else unit.size,
        labels=unit.labels,
        placed=one.settled or one.pod.node is not None,
        eligible=where,
        choosy=bool(spec.get("nodeSelector")) or node_affinity(spec) is not None,
        alone=bool(unit.host_ports) or any(t["topologyKey"] == HOSTNAME for t in apart),
        spreads=spreads,
        loose=crowd.meddles(unit)
        or bool(pod_affinity(spec, "podAffinity"))
        or any(t["topologyKey"] != HOSTNAME for t in apart)
        or sum(spread.key != HOSTNAME for spread in spreads) > 1,
        host_network=one.pod.host_network,
        rollout=_rollout(unit, len(where)),
    )


def behind(
    every: Sequence[Unit], selections: Iterable[Selection]
) -> list[frozenset[ServicePortName]]:
    """For each unit the service ports whose endpoints its pods are."""
    ports: list[set[ServicePortName]] = [set() for _ in every]
    labelled: dict[tuple[str, str, str], list[int]] = {}
    for number, unit in enumerate(every):
        for key, value in unit.labels.items():
            labelled.setdefault((unit.namespace, key, value), []).append(number)
    for selection in selections:
        key, value = next(iter(selection.selector.items()))
        for number in labelled.get((selection.service.namespace, key, value), ()):
            if selection.selector.items() <= every[number].labels.items():
                ports[number].update(backed(selection, every[number].one.pod))
    return [frozenset(names) for names in ports]


def _constraints(unit: Unit) -> Iterator[Mapping[str, Any]]:
    """Its hard topologySpreadConstraints that count its own pods."""
    for n, constraint in enumerate(unit.spec.get("topologySpreadConstraints") or ()):
        path = (*unit.one.base, "topologySpreadConstraints", n)
        for name in ("topologyKey", "whenUnsatisfiable", "maxSkew"):
            if not constraint.get(name):
                unit.one.resource.refuse((*path, name), "Required value", "Give it a value.")
                break
        else:
            if constraint["maxSkew"] < 1:
                why = invalid(constraint["maxSkew"], "must be greater than zero")
                unit.one.resource.refuse((*path, "maxSkew"), why, "Write 1 or more.")
            elif constraint["whenUnsatisfiable"] == "DoNotSchedule" and selects(
                _selector(constraint, unit), unit.labels
            ):
                yield constraint


def _spread(
    unit: Unit, ground: Ground, constraint: Mapping[str, Any], keys: Sequence[str]
) -> Spread:
    counted = ground.where(
        unit.spec,
        chosen=constraint.get("nodeAffinityPolicy") != "Ignore",
        taints=constraint.get("nodeTaintsPolicy") == "Honor",
        daemon=False,
    )
    return Spread(
        constraint["topologyKey"],
        constraint["maxSkew"],
        constraint.get("minDomains") or 1,
        ground.domains(ground.labelled(counted, keys), constraint["topologyKey"]),
    )


def _anti_affinity(unit: Unit) -> list[Mapping[str, Any]]:
    return [t for t in pod_affinity(unit.spec, "podAntiAffinity") if t.get("topologyKey")]


def _selector(term: Mapping[str, Any], unit: Unit) -> Mapping[str, Any] | None:
    """The labelSelector of a constraint of this unit, its matchLabelKeys resolved."""
    selector: Mapping[str, Any] | None = term.get("labelSelector")
    keys = [key for key in term.get("matchLabelKeys") or () if key in unit.labels]
    if selector is None or not keys:
        return selector
    exact = (selector.get("matchLabels") or {}) | {key: unit.labels[key] for key in keys}
    return {**selector, "matchLabels": exact}


class _Crowd:
    """Who counts in whose constraints."""

    def __init__(self, every: Sequence[Unit]) -> None:
        self._by_namespace: dict[str, list[Unit]] = {}
        self._by_label: dict[tuple[str, str, str], list[Unit]] = {}
        self._disturbed: set[int] = set()
        ports: dict[tuple[str, int], list[Unit]] = {}
        for unit in every:
            self._by_namespace.setdefault(unit.namespace, []).append(unit)
            for key, value in unit.labels.items():
                self._by_label.setdefault((unit.namespace, key, value), []).append(unit)
            for port in unit.host_ports:
                ports.setdefault(port, []).append(unit)
        for sharing in ports.values():
            if len(sharing) > 1:
                self._disturbed.update(map(id, sharing))
        for unit in every:
            self._note(unit)

    def meddles(self, unit: Unit) -> bool:
        """Whether pods of others may keep those of this unit away, or hold them."""
        return id(unit) in self._disturbed

    def counts_itself(self, unit: Unit, term: Mapping[str, Any]) -> bool:
        """Whether an anti-affinity term keeps the unit's own pods apart."""
        return any(one is unit for one in self._meant(unit, term))

    def _note(self, unit: Unit) -> None:
        for term in _anti_affinity(unit):
            others = [other for other in self._meant(unit, term) if other is not unit]
            if others:
                self._disturbed.update(map(id, [unit, *others]))
        for constraint in unit.spec.get("topologySpreadConstraints") or ():
            selector = _selector(constraint, unit)
            if any(other is not unit for other in self._matching(unit.namespace, selector)):
                self._disturbed.add(id(unit))

    def _meant(self, unit: Unit, term: Mapping[str, Any]) -> list[Unit]:
        """The units whose pods an anti-affinity term is about, in all the namespaces it names."""
        selector = _selector(term, unit)
        namespaces = term.get("namespaces") or []
        if term.get("namespaceSelector") is not None:
            namespaces = list(self._by_namespace)  # whose labels nobody tells
        return [
            other
            for namespace in namespaces or [unit.namespace]
            for other in self._matching(namespace, selector)
        ]

    def _matching(self, namespace: str, selector: Mapping[str, Any] | None) -> list[Unit]:
        exact = (selector or {}).get("matchLabels") or {}
        near = (self._by_label.get((namespace, k, v), []) for k, v in exact.items())
        found = next(near, self._by_namespace.get(namespace, []))
        return [unit for unit in found if selects(selector, unit.labels)]


def _rollout(unit: Unit, places: int) -> Rollout:
    """places: how many nodes a DaemonSet's pods go to."""
    resource, spec = unit.one.resource, unit.spec
    surge, unavailable = 0, 0
    if resource.kind == "Deployment":
        surge, unavailable = _steps(resource, unit.size)
    elif dig(resource.get("spec"), ("updateStrategy", "type")) != "OnDelete":
        rolling = dig(resource.get("spec"), ("updateStrategy", "rollingUpdate")) or {}
        if resource.kind == "DaemonSet":
            surge = _number(resource, rolling.get("maxSurge") or 0, places, math.ceil)
            unavailable = _number(resource, rolling.get("maxUnavailable", 1), places, math.ceil)
        elif resource.kind == "StatefulSet":
            unavailable = 1
    grace = spec.get("terminationGracePeriodSeconds")
    return Rollout(
        surge,
        unavailable,
        30.0 if grace is None else float(grace),
        _pre_stop(spec),
        all(container.get("readinessProbe") for container in _serving(spec)),
    )


def _steps(resource: Resource, replicas: int) -> tuple[int, int]:
    """maxSurge, rounded up, and maxUnavailable, rounded down, of a Deployment; one of the two is
    at least 1."""
    strategy = resource.get("spec", "strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, replicas
    rolling = strategy.get("rollingUpdate") or {}
    surge = _number(resource, rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _number(resource, rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    return surge, unavailable if surge or unavailable else 1


def _number(resource: Resource, value: Any, whole: int, rounded: Callable[[float], int]) -> int:
    """An integer, or a percentage of `whole`."""
    text = str(value)
    if text.isascii() and text.isdigit():
        return int(text)
    if text.endswith("%") and text[:-1].isascii() and text[:-1].isdigit():
        return rounded(int(text[:-1]) * whole / 100)
    why = invalid(value, "must be an integer or a percentage (e.g '5%')")
    resource.refuse(("spec",), why, "Write for example 1 or 25%.")
    return 0


def _pre_stop(spec: Mapping[str, Any]) -> float | None:
    """How long the hooks of the containers that serve are known to sleep, at least."""
    slept = [_slept(dig(container, ("lifecycle", "preStop"))) for container in _serving(spec)]
    known = [seconds for seconds in slept if seconds is not None]
    return min(known, default=0.0) if len(known) == len(slept) else None


def _serving(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The containers that serve: those that name ports, or all where none does."""
    containers = spec.get("containers") or ()
    return [c for c in containers if c.get("ports")] or containers


def _slept(hook: Mapping[str, Any] | None) -> float | None:
    """Seconds of a `sleep` action or command; None for a hook that does something else."""
    if not hook:
        return 0.0
    command: Sequence[str] = dig(hook, ("exec", "command")) or ()
    if len(command) == 3 and command[0] in _SHELLS and command[1] == "-c":
        command = command[2].split()
    if len(command) == 2 and command[0] in _SLEEPS:
        seconds = command[1].removesuffix("s")
        return float(seconds) if seconds.isascii() and seconds.isdigit() else None
    seconds = dig(hook, ("sleep", "seconds"))
    return None if seconds is None else float(seconds)
