"""A pod is given its node."""

from __future__ import annotations

from ..client.api import Object
from .kinds import KINDS
from .metadata import timestamp
from .refusals import conflict


def bound(pod: Object, binding: Object, now: float) -> Object:
    """The pod on the node that a Binding names. ApiError 409 when it has one, or is going."""
    kind, metadata = KINDS["Pod"], pod["metadata"]
    name, node = metadata["name"], (binding.get("target") or {}).get("name") or ""
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
