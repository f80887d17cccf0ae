"""The scale of a workload, as a subresource of its own."""

from __future__ import annotations

from ..client.api import Object
from .kinds import SCALE

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(workload: Object) -> Object:
    """The Scale of a Deployment or a ReplicaSet."""
    metadata, spec = workload["metadata"], workload["spec"]
    return {
        "apiVersion": SCALE.api_version,
        "kind": SCALE.kind,
        "metadata": {name: metadata[name] for name in _KEPT},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {
            "replicas": (workload.get("status") or {}).get("replicas", 0),
            "selector": selector_text(spec["selector"]),
        },
    }


def applied(scale: Object, workload: Object) -> Object:
    """The workload with the replicas of a Scale."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return {**workload, "spec": {**workload["spec"], "replicas": replicas}}


def selector_text(selector: Object, nothing: str = "") -> str:
    """A LabelSelector as a request would write it: `app=web,tier in (a,b)`."""
    exact = selector.get("matchLabels") or {}
    terms = [(key, f"{key}={value}") for key, value in exact.items()]
    for each in selector.get("matchExpressions") or []:
        key, listed = each["key"], ",".join(sorted(each.get("values") or []))
        forms = {"In": f"{key} in ({listed})", "NotIn": f"{key} notin ({listed})", "Exists": key}
        terms.append((key, forms.get(each["operator"], f"!{key}")))
    return ",".join(text for _, text in sorted(terms)) or nothing
