"""Rows of Nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ...client import Object
from ...client.api import labels_of
from .text import NONE, UNKNOWN, age

_ROLE, _OLD_ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def node(value: Object, now: float) -> list[object]:
    """NAME STATUS ROLES AGE VERSION; INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION
    CONTAINER-RUNTIME."""
    status = value.get("status") or {}
    info = status.get("nodeInfo") or {}
    kernel = info.get("kernelVersion") or UNKNOWN
    if architecture := info.get("architecture"):
        kernel += f" ({architecture})"
    return [
        value["metadata"]["name"],
        ",".join(_states(value, status)),
        ",".join(sorted(set(_roles(value)))) or NONE,
        age(value, now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _states(value: Object, status: Object) -> Iterator[str]:
    conditions = status.get("conditions") or []
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)
    yield "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    if (value.get("spec") or {}).get("unschedulable"):
        yield "SchedulingDisabled"


def _roles(value: Object) -> Iterator[str]:
    for key, text in labels_of(value).items():
        if key.startswith(_ROLE) and key != _ROLE:
            yield key.removeprefix(_ROLE)
        elif key == _OLD_ROLE and text:
            yield text


def _address(status: Object, form: str) -> str:
    found = status.get("addresses") or []
    return next((each["address"] for each in found if each["type"] == form), NONE)
