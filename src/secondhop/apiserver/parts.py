"""Which part of an object a write may change: each path has its own, the rest stays."""

from __future__ import annotations

from ..client.api import Object
from .kinds import Kind
from .quality import quality_of_service

_NEW_STATUS: dict[str, Object] = {
    "Namespace": {"phase": "Active"},
    "Service": {"loadBalancer": {}},
    "Deployment": {},
    "ReplicaSet": {"replicas": 0},
    "DaemonSet": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
}
_KEEPER = "kubernetes"  # the finalizer of every namespace


def begun(kind: Kind, new: Object) -> Object:
    """A new object with the status it begins with; a Node brings its own."""
    if kind.kind in _NEW_STATUS:
        new = {**new, "status": _NEW_STATUS[kind.kind]}
    if kind.kind == "Namespace":
        given = (new.get("spec") or {}).get("finalizers") or []
        finalizers = given if _KEEPER in given else [*given, _KEEPER]
        return {**new, "spec": {**(new.get("spec") or {}), "finalizers": finalizers}}
    if kind.kind == "Pod":
        quality = quality_of_service(new.get("spec") or {})
        return {**new, "status": {"phase": "Pending", "qosClass": quality}}
    return new


def confined(kind: Kind, new: Object, old: Object, subresource: str) -> Object:
    """A changed object in which only what its path may change has changed."""
    if subresource == "status":
        return _with(old, metadata=new["metadata"], status=new.get("status"))
    if subresource == "finalize":
        return _with(old, spec=new.get("spec") or {})
    if kind.has("status"):
        new = _with(new, status=old.get("status"))
    if kind.kind == "Namespace":
        return _with(new, spec=old.get("spec"))
    return new


def _with(value: Object, **parts: Object | None) -> Object:
    done = {**value, **parts}
    return {key: part for key, part in done.items() if part is not None or key not in parts}
