"""Rows of Deployments, ReplicaSets and DaemonSets."""

from __future__ import annotations

from ...client import Object
from .text import age, pairs, selector


def deployment(value: Object, now: float) -> list[object]:
    """NAME READY UP-TO-DATE AVAILABLE AGE; CONTAINERS IMAGES SELECTOR."""
    status = value.get("status") or {}
    wanted = value["spec"].get("replicas", 1)
    return [
        value["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{wanted}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(value, now),
        *_wide(value),
    ]


def replica_set(value: Object, now: float) -> list[object]:
    """NAME DESIRED CURRENT READY AGE; CONTAINERS IMAGES SELECTOR."""
    status = value.get("status") or {}
    return [
        value["metadata"]["name"],
        value["spec"].get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(value, now),
        *_wide(value),
    ]


def daemon_set(value: Object, now: float) -> list[object]:
    """NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE; and as above."""
    status, pod = value.get("status") or {}, value["spec"]["template"].get("spec") or {}
    return [
        value["metadata"]["name"],
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        pairs(pod.get("nodeSelector")),
        age(value, now),
        *_wide(value),
    ]


def _wide(value: Object) -> list[object]:
    spec = value["spec"]
    containers = (spec["template"].get("spec") or {}).get("containers") or []
    names, images = (",".join(c.get(key, "") for c in containers) for key in ("name", "image"))
    return [names, images, selector(spec.get("selector"))]
