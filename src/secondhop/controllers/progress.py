"""The status of a Deployment, in the words of the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..client import Object, meta
from .conditions import Condition, condition, placed
from .revisions import aim_of
from .times import since_1970, stamp

_COMPLETE, _TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
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
    conditions: list[Condition] = list(before.get("conditions") or [])
    conditions = _set(conditions, _availability(deployment, counts), now)
    wait = None
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if deadline is None:
        conditions = [one for one in conditions if one["type"] != "Progressing"]
    else:
        conditions = _progressing(deployment, new, counts, conditions, now, begun)
        wait = _until_timeout(deployment, conditions, deadline, now)
    failure = _failure(([new] if new else []) + list(old))
    if failure is None:
        conditions = [one for one in conditions if one["type"] != "ReplicaFailure"]
    else:
        conditions = _set(conditions, failure, now)
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


def _progressing(
    deployment: Object,
    new: Object | None,
    counts: Mapping[str, int],
    conditions: list[Condition],
    now: float,
    begun: bool,
) -> list[Condition]:
    """The conditions, Progressing as it is now."""
    last = condition({"status": {"conditions": conditions}}, "Progressing")
    subject = f'ReplicaSet "{meta(new)[1]}"' if new else f'Deployment "{meta(deployment)[1]}"'
    if new is not None and (begun or last is None):
        reason, verb = (
            ("NewReplicaSetCreated", "Created") if begun else ("FoundNewReplicaSet", "Found")
        )
        message = f'{verb} new replica set "{meta(new)[1]}"'
        return _set(conditions, _condition("Progressing", True, reason, message), now)
    paused = bool(deployment["spec"].get("paused"))
    was_paused = last is not None and last["reason"] == "DeploymentPaused"
    late = last is not None and last["reason"] == _TIMED_OUT
    if paused != was_paused and not (late and paused):
        done = "paused" if paused else "resumed"
        reason, message = f"Deployment{done.title()}", f"Deployment is {done}"
        return _set(conditions, _condition("Progressing", None, reason, message), now)
    if paused:
        return conditions
    if (
        last is not None
        and last["reason"] == _COMPLETE
        and counts["replicas"] == counts["updatedReplicas"]
    ):
        return conditions
    if _all_there(deployment, counts):
        message = f"{subject} has successfully progressed."
        return _set(conditions, _condition("Progressing", True, _COMPLETE, message), now)
    if _advanced(deployment.get("status") or {}, counts):
        message = f"{subject} is progressing."
        fresh = _condition("Progressing", True, "ReplicaSetUpdated", message)
        return _set(conditions, fresh, now, renew=True)
    if _overdue(deployment, last, now):
        message = f"{subject} has timed out progressing."
        return _set(conditions, _condition("Progressing", False, _TIMED_OUT, message), now)
    return conditions


def _advanced(before: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether more new pods are there, are ready or are available, or fewer old ones are there."""
    was = {name: before.get(name) or 0 for name in _COUNTS}
    return any(counts[name] > was[name] for name in _COUNTS[1:]) or (
        counts["replicas"] - counts["updatedReplicas"] < was["replicas"] - was["updatedReplicas"]
    )


def _overdue(deployment: Object, last: Condition | None, now: float) -> bool:
    if last is None or last["reason"] == _COMPLETE:
        return False
    if last["reason"] == _TIMED_OUT:
        return True
    deadline = deployment["spec"]["progressDeadlineSeconds"]
    return bool(now > since_1970(last["lastUpdateTime"]) + deadline)


def _until_timeout(
    deployment: Object, conditions: list[Condition], deadline: int, now: float
) -> float | None:
    last = condition({"status": {"conditions": conditions}}, "Progressing")
    settled = last is None or last["reason"] in (_COMPLETE, _TIMED_OUT)
    if last is None or settled or deployment["spec"].get("paused"):
        return None
    return max(1.0, since_1970(last["lastUpdateTime"]) + deadline - now + 1)


def _failure(sets: Sequence[Object]) -> Condition | None:
    """Why a ReplicaSet cannot make its pods; the current one's word first."""
    for one in sets:
        found = condition(one, "ReplicaFailure")
        if found is not None:
            return _condition("ReplicaFailure", True, found["reason"], found["message"])
    return None


def _condition(kind: str, value: bool | None, reason: str, message: str) -> Condition:
    status = "Unknown" if value is None else str(value)
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _set(
    conditions: list[Condition], new: Condition, now: float, *, renew: bool = False
) -> list[Condition]:
    """The conditions with a new one. The same status for the same reason changes nothing, unless
    it is renewed; the same status keeps its lastTransitionTime."""
    last = condition({"status": {"conditions": conditions}}, new["type"])
    when = stamp(now)
    same = last is not None and last["status"] == new["status"]
    if last is not None and same and last["reason"] == new["reason"] and not renew:
        return conditions
    since = last["lastTransitionTime"] if last is not None and same else when
    return placed(conditions, {**new, "lastUpdateTime": when, "lastTransitionTime": since})
