"""What the controllers of workloads ask of pods."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from ..client import Object, meta
from .conditions import condition, is_true
from .owners import deleting, reference
from .times import since_1970

FINISHED = ("Succeeded", "Failed")


def phase(pod: Object) -> str:
    """Where it stands in its life."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica: it has not finished and is not on its way out."""
    return phase(pod) not in FINISHED and not deleting(pod)


def is_ready(pod: Object) -> bool:
    """Its Ready condition."""
    return is_true(pod, "Ready")


def until_available(pod: Object, min_ready: float, now: float) -> float | None:
    """Seconds until it has been ready for `min_ready` seconds, 0 if it has; None if not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready:
        return 0
    return max(0, since_1970(ready["lastTransitionTime"]) + min_ready - now)


def available(pods: Iterable[Object], min_ready: float, now: float) -> tuple[int, float | None]:
    """How many are available, and the seconds until another one is, if one will be."""
    waits = [until_available(pod, min_ready, now) for pod in pods]
    return waits.count(0), min((wait for wait in waits if wait), default=None)


def node_of(pod: Object) -> str:
    """The node it is bound to; empty if none."""
    return pod["spec"].get("nodeName") or ""


def by_node(pod: Object) -> Iterable[str]:
    """Index: pods by their node."""
    yield node_of(pod)


def made_for(owner: Object, template: Mapping[str, Any]) -> Object:
    """The pod that a controller makes for an object from its template."""
    metadata = template.get("metadata") or {}
    namespace, name = meta(owner)
    kept = {k: metadata[k] for k in ("labels", "annotations", "finalizers") if metadata.get(k)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **copy.deepcopy(kept),
            "generateName": f"{name}-",
            "namespace": namespace,
            "ownerReferences": [reference(owner)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }
