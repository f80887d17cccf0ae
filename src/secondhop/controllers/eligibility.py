"""Whether a pod may run on a node: what the scheduler and the DaemonSet controller both ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..client import Object, meta
from ..client.api import labels_of
from ..manifests.scheduling import tolerates
from ..model.labels import in_a_term

UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
REPELLING = ("NoSchedule", "NoExecute")


def untolerated(
    spec: Mapping[str, Any], node: Object, effects: Sequence[str] = REPELLING
) -> dict[str, Any] | None:
    """The first taint of a node, of these effects, that a pod does not tolerate."""
    tolerations = spec.get("tolerations") or ()
    for taint in taints_of(node):
        if taint["effect"] in effects and not any(tolerates(one, taint) for one in tolerations):
            return taint
    return None


def taints_of(node: Object) -> list[dict[str, Any]]:
    """The taints of a node."""
    return (node.get("spec") or {}).get("taints") or []


def terms(node: Object) -> tuple[object, ...]:
    """What about a node decides which pods may run there."""
    spec = node.get("spec") or {}
    return labels_of(node), spec.get("taints"), spec.get("unschedulable")


def cordoned_for(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether the node is cordoned, and the pod does not tolerate that."""
    if not (node.get("spec") or {}).get("unschedulable"):
        return False
    return not any(tolerates(one, UNSCHEDULABLE) for one in spec.get("tolerations") or ())


def selects_node(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether nodeSelector and the required nodeAffinity let a pod run there."""
    labels = labels_of(node)
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return in_a_term(terms, labels, {"metadata.name": meta(node)[1]})
