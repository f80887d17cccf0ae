"""What the scheduler reads of a pod's spec and of nodes: where the pod may go at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..model.labels import in_a_term
from .nodes import Machine
from .resource import dig

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_DAEMONS_TOLERATE = {
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
}
"""Taints that the DaemonSet controller lets its pods tolerate."""


class Ground:
    """The machines of a cluster. Equal questions get the very same set, so that thousands of
    workloads share a few.

    stand_in: the machines stand for unknown ones, which pods are taken to choose.
    """

    def __init__(self, machines: Sequence[Machine], *, stand_in: bool = False) -> None:
        self.machines = machines
        self._stand_in = stand_in
        self._sets: dict[str, frozenset[str]] = {}
        self._domains: dict[tuple[frozenset[str], str], Mapping[str, str]] = {}

    def where(
        self, spec: Mapping[str, Any], *, chosen: bool = True, taints: bool = True, daemon: bool
    ) -> frozenset[str]:
        """Names of the machines that a pod may go to: that it chooses (nodeSelector, required
        nodeAffinity) and whose taints it tolerates, as far as these two count."""
        chosen = chosen and not self._stand_in
        chooses = (spec.get("nodeSelector"), node_affinity(spec)) if chosen else None
        tolerates = (spec.get("tolerations"), daemon) if taints else None
        signature = repr((chooses, tolerates))
        found = self._sets.get(signature)
        if found is None:
            found = self._sets[signature] = frozenset(
                machine.node.name
                for machine in self.machines
                if (not chosen or _chooses(spec, machine))
                and (not taints or _tolerates_all(spec, machine, daemon=daemon))
            )
        return found

    def labelled(self, names: frozenset[str], keys: Collection[str]) -> frozenset[str]:
        """Those of some machines that have a label for all these keys."""
        signature = repr((id(names), sorted(keys)))
        if not keys:
            return names
        found = self._sets.get(signature)
        if found is None:
            found = self._sets[signature] = frozenset(
                machine.node.name
                for machine in self.machines
                if machine.node.name in names and all(key in machine.labels for key in keys)
            )
        return found

    def domains(self, names: frozenset[str], key: str) -> Mapping[str, str]:
        """Machine -> its domain by `key`, of some machines that all have such a label."""
        found = self._domains.get((names, key))
        if found is None:
            found = self._domains[names, key] = {
                machine.node.name: machine.labels[key]
                for machine in self.machines
                if machine.node.name in names
            }
        return found


def node_affinity(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """The terms of a required nodeAffinity, of which a node must meet one; None without."""
    required = dig(spec, ("affinity", "nodeAffinity", _REQUIRED))
    return None if required is None else required.get("nodeSelectorTerms") or ()


def pod_affinity(spec: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """The required terms of `podAffinity` or `podAntiAffinity`, all of which hold."""
    return dig(spec, ("affinity", kind, _REQUIRED)) or ()


def _chooses(spec: Mapping[str, Any], machine: Machine) -> bool:
    if not (spec.get("nodeSelector") or {}).items() <= machine.labels.items():
        return False
    terms = node_affinity(spec)
    name = {"metadata.name": machine.node.name}
    return terms is None or in_a_term(terms, machine.labels, name)


def _tolerates_all(spec: Mapping[str, Any], machine: Machine, *, daemon: bool) -> bool:
    tolerations = spec.get("tolerations") or ()
    return all(
        (daemon and taint["key"] in _DAEMONS_TOLERATE)
        or any(tolerates(toleration, taint) for toleration in tolerations)
        for taint in machine.taints
    )


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration of a pod puts up with a taint of a node."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint.get("key") and same_value
