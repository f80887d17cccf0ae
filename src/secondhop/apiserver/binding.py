"""A pod is given its node."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.field import FieldError, not_supported, required
from .kinds import KINDS
from .metadata import timestamp
from .refusals import conflict, invalid


def bound(pod: Object, binding: Object, now: float) -> Object:
    """The pod on the node that a Binding names. ApiError 409 when it has one, or is going; 422
    when it names none."""
    kind, metadata = KINDS["Pod"], pod["metadata"]
    name, target = metadata["name"], binding.get("target") or {}
    node = target.get("name") or ""
    if errors := [*_refusals(target)]:
        raise invalid("Binding", name, errors)
    why = ""
    if "deletionTimestamp" in metadata:
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    if why:
        raise conflict(kind, name, why, subresource="binding")
    status = pod.get("status") or {}
    others = [each for each in status.get("conditions") or [] if each["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(now)}
    return {
        **pod,
        "spec": {**pod["spec"], "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }


def _refusals(target: Object) -> Iterator[FieldError]:
    if target.get("kind") not in (None, "", "Node"):
        yield not_supported(("target", "kind"), target["kind"], ("Node", "<empty>"))
    if not target.get("name"):
        yield required(("target", "name"))
