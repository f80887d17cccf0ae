"""The ReplicaSets of a Deployment: which is the current one, what each is called, and which
revision it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..client import Object, meta
from ..manifests.pods import letters
from .owners import deleting, reference
from .rollout import Aim, Size, aim

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
_OWN = {REVISION, DESIRED, MOST, "kubectl.kubernetes.io/last-applied-configuration"}
"""Annotations that a ReplicaSet does not take over from its Deployment."""


def annotation(value: Object, name: str) -> str:
    """An annotation; empty if it is not there."""
    return (value["metadata"].get("annotations") or {}).get(name) or ""


def number(value: Object, name: str) -> int:
    """An annotation that holds a number; 0 if there is none."""
    text = annotation(value, name)
    return int(text) if text.isdecimal() else 0


def current(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet that has the Deployment's template; of several, the oldest."""
    wanted = _plain(deployment["spec"]["template"])
    same = [one for one in sets if _plain(one["spec"]["template"]) == wanted]
    return min(same, key=_born, default=None)


def _plain(template: Mapping[str, Any]) -> dict[str, Any]:
    """A template without what tells revisions apart."""
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH}
    kept = {name: value for name, value in metadata.items() if value and name != "labels"}
    return {**template, "metadata": {**kept, "labels": labels}}


def _born(one: Object) -> tuple[str, str]:
    return one["metadata"].get("creationTimestamp") or "", meta(one)[1]


def aim_of(deployment: Object) -> Aim:
    """What it wants; only a RollingUpdate has limits on the way."""
    spec = deployment["spec"]
    if recreates(deployment):
        return Aim(spec["replicas"])
    limits = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    return aim(spec["replicas"], limits.get("maxSurge"), limits.get("maxUnavailable"))


def recreates(deployment: Object) -> bool:
    """Whether all old pods go before the first new one comes."""
    return (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"


def size_of(one: Object) -> Size:
    """The figures of a ReplicaSet."""
    available = (one.get("status") or {}).get("availableReplicas") or 0
    born, name = _born(one)
    return Size(name, one["spec"]["replicas"], available, number(one, MOST), born)


def first(deployment: Object, old: Sequence[Object], replicas: int) -> Object:
    """A new ReplicaSet for the Deployment's template."""
    namespace, name = meta(deployment)
    spec = deployment["spec"]
    collisions = (deployment.get("status") or {}).get("collisionCount") or 0
    text = json.dumps(_plain(spec["template"]), sort_keys=True)
    mark = {HASH: letters(f"{text}{collisions or ''}", 10)}
    template = copy.deepcopy(spec["template"])
    template["metadata"]["labels"] |= mark
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **mark}
    one = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name}-{mark[HASH]}",
            "namespace": namespace,
            "labels": dict(template["metadata"]["labels"]),
            "ownerReferences": [reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    return resized(numbered(deployment, one, old), replicas, aim_of(deployment))


def numbered(deployment: Object, new: Object, old: Iterable[Object]) -> Object:
    """The current ReplicaSet with the highest revision, and what else it takes over from its
    Deployment; the object itself if it has all that."""
    annotations = dict(new["metadata"].get("annotations") or {})
    taken = deployment["metadata"].get("annotations") or {}
    annotations |= {name: value for name, value in taken.items() if name not in _OWN}
    revision = max((number(one, REVISION) for one in old), default=0) + 1
    if number(new, REVISION) < revision:
        annotations[REVISION] = str(revision)
    spec = dict(new["spec"])
    if (ready := deployment["spec"].get("minReadySeconds") or 0) != (
        spec.get("minReadySeconds") or 0
    ):
        spec["minReadySeconds"] = ready
    if annotations == new["metadata"].get("annotations") and spec == new["spec"]:
        return new
    return {**new, "metadata": {**new["metadata"], "annotations": annotations}, "spec": spec}


def resized(one: Object, replicas: int, aim: Aim) -> Object:
    """A ReplicaSet with that size, which remembers what its Deployment then wanted; the object
    itself if nothing changes."""
    annotations = dict(one["metadata"].get("annotations") or {})
    annotations |= {DESIRED: str(aim.replicas), MOST: str(aim.most)}
    metadata = {**one["metadata"], "annotations": annotations}
    changed = {**one, "metadata": metadata, "spec": {**one["spec"], "replicas": replicas}}
    return one if changed == one else changed


def rescaled(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether `replicas` is another than when its ReplicaSets were last scaled."""
    return any(
        one["spec"]["replicas"]
        and annotation(one, DESIRED)
        and number(one, DESIRED) != deployment["spec"]["replicas"]
        for one in sets
    )


def superfluous(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """The ReplicaSets beyond the history limit: empty ones, lowest revisions first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None:
        return []
    empty = [
        one
        for one in old
        if not one["spec"]["replicas"]
        and not (one.get("status") or {}).get("replicas")
        and not deleting(one)
    ]
    empty.sort(key=lambda one: (number(one, REVISION), _born(one)))
    return empty[: max(0, len(empty) - limit)]
