"""The status of a Deployment, in the words of the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..client import Object, meta
from .conditions import Condition, condition, conditions_of, of_type, placed
from .revisions import aim_of
from .times import since_1970, stamp

_BEGUN, _FOUND, _UPDATED = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"
_COMPLETE, _TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
_PAUSED, _RESUMED = "DeploymentPaused", "DeploymentResumed"
_SETTLED = (_COMPLETE, _TIMED_OUT)
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


class Told(NamedTuple):
    """A status, and the seconds until time alone changes it."""

    status: dict[str, Any]
    wait: float | None


def status_of(
    deployment: Object,
    new: Object | None,
    old: Sequence[Object],
    now: float,
    *,
    begun: bool = False,
    collisions: int = 0,
) -> Told:
    """The status of a Deployment with these ReplicaSets.

    begun: the new one has just been made.
    """
    counts = _counts(deployment, new, old)
    before = deployment.get("status") or {}
    conditions = _set(conditions_of(deployment), _availability(deployment, counts), now)
    wait = None
    if deployment["spec"].get("progressDeadlineSeconds") is None:
        conditions = _without(conditions, "Progressing")
    else:
        last = of_type(conditions, "Progressing")
        if progress := _progress(deployment, new, counts, last, now, begun):
            conditions = _set(conditions, progress, now)
        wait = _until_timeout(deployment, of_type(conditions, "Progressing"), now)
    if failure := _failure(([new] if new else []) + list(old)):
        conditions = _set(conditions, failure, now)
    else:
        conditions = _without(conditions, "ReplicaFailure")
    status = {name: value for name, value in counts.items() if value}
    status["observedGeneration"] = deployment["metadata"].get("generation", 0)
    if collisions or before.get("collisionCount"):
        status["collisionCount"] = (before.get("collisionCount") or 0) + collisions
    return Told({**status, "conditions": conditions}, wait)


def complete(deployment: Object) -> bool:
    """Whether its status says that the new ReplicaSet has all the pods, and they are available."""
    status = deployment.get("status") or {}
    return status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0) and (
        _all_there(deployment, status)
    )


def _all_there(deployment: Object, counts: Mapping[str, Any]) -> bool:
    wanted = deployment["spec"]["replicas"]
    names = ("replicas", "updatedReplicas", "availableReplicas")
    return all((counts.get(name) or 0) == wanted for name in names)


def _counts(deployment: Object, new: Object | None, old: Sequence[Object]) -> dict[str, int]:
    sets = [*old, *([new] if new else [])]

    def total(name: str, among: Sequence[Object]) -> int:
        return sum((one.get("status") or {}).get(name) or 0 for one in among)

    wanted = sum(one["spec"]["replicas"] for one in sets)
    available = total("availableReplicas", sets)
    return {
        "replicas": total("replicas", sets),
        "updatedReplicas": total("replicas", [new] if new else []),
        "readyReplicas": total("readyReplicas", sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }


def _availability(deployment: Object, counts: Mapping[str, int]) -> Condition:
    enough = counts["availableReplicas"] >= aim_of(deployment).fewest
    return _condition(
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )


def _progress(
    deployment: Object,
    new: Object | None,
    counts: Mapping[str, int],
    last: Condition | None,
    now: float,
    begun: bool,
) -> Condition | None:
    """What Progressing is to say now; None for what it says already."""
    subject = f'ReplicaSet "{meta(new)[1]}"' if new else f'Deployment "{meta(deployment)[1]}"'
    reason = last["reason"] if last is not None else ""
    if new is not None and begun:
        return _progressing(True, _BEGUN, f'Created new replica set "{meta(new)[1]}"')
    if new is not None and not reason:
        return _progressing(True, _FOUND, f'Found new replica set "{meta(new)[1]}"')
    if deployment["spec"].get("paused"):
        late = reason == _TIMED_OUT
        return None if late else _progressing(None, _PAUSED, "Deployment is paused")
    if reason == _PAUSED:
        return _progressing(None, _RESUMED, "Deployment is resumed")
    if reason == _COMPLETE and counts["replicas"] == counts["updatedReplicas"]:
        return None
    if _all_there(deployment, counts):
        return _progressing(True, _COMPLETE, f"{subject} has successfully progressed.")
    if _advanced(deployment.get("status") or {}, counts):
        return _progressing(True, _UPDATED, f"{subject} is progressing.")
    if last is not None and _overdue(deployment, last, now):
        return _progressing(False, _TIMED_OUT, f"{subject} has timed out progressing.")
    return None


def _advanced(before: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether more new pods are there, are ready or are available, or fewer old ones are there."""
    was = {name: before.get(name) or 0 for name in _COUNTS}
    return any(counts[name] > was[name] for name in _COUNTS[1:]) or (
        counts["replicas"] - counts["updatedReplicas"] < was["replicas"] - was["updatedReplicas"]
    )


def _overdue(deployment: Object, last: Condition, now: float) -> bool:
    return last["reason"] not in _SETTLED and now > _deadline(deployment, last)


def _until_timeout(deployment: Object, last: Condition | None, now: float) -> float | None:
    if last is None or last["reason"] in _SETTLED or deployment["spec"].get("paused"):
        return None
    return max(1.0, _deadline(deployment, last) - now + 1)


def _deadline(deployment: Object, last: Condition) -> float:
    limit: int = deployment["spec"]["progressDeadlineSeconds"]
    return since_1970(last["lastUpdateTime"]) + limit


def _failure(sets: Sequence[Object]) -> Condition | None:
    """Why a ReplicaSet cannot make its pods; the current one's word first."""
    for one in sets:
        found = condition(one, "ReplicaFailure")
        if found is not None:
            return _condition("ReplicaFailure", True, found["reason"], found["message"])
    return None


def _progressing(value: bool | None, reason: str, message: str) -> Condition:
    return _condition("Progressing", value, reason, message)


def _condition(kind: str, value: bool | None, reason: str, message: str) -> Condition:
    status = "Unknown" if value is None else str(value)
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _without(conditions: Sequence[Condition], kind: str) -> list[Condition]:
    return [one for one in conditions if one["type"] != kind]


def _set(conditions: list[Condition], new: Condition, now: float) -> list[Condition]:
    """The conditions with a new one. The same status for the same reason changes nothing, but that
    an update goes on renews its time; the same status keeps its lastTransitionTime."""
    last, when = of_type(conditions, new["type"]), stamp(now)
    if last is None or last["status"] != new["status"]:
        since = when
    elif last["reason"] == new["reason"] != _UPDATED:
        return conditions
    else:
        since = last["lastTransitionTime"]
    return placed(conditions, {**new, "lastUpdateTime": when, "lastTransitionTime": since})
