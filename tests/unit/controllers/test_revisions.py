"""Which ReplicaSet is a Deployment's current one, what it takes over, and what is told of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from secondhop.client import Object
from secondhop.controllers.conditions import condition
from secondhop.controllers.progress import status_of
from secondhop.controllers.revisions import (
    DESIRED,
    MOST,
    REVISION,
    aim_of,
    current,
    first,
    numbered,
    rescaled,
    resized,
    superfluous,
)
from secondhop.controllers.rollout import Aim
from secondhop.controllers.times import since_1970, stamp

from .play import deployment

T0 = since_1970("2026-01-01T00:00:00Z")


def wanted(replicas: int = 3, **fields: Any) -> Object:
    """A Deployment as stored; `status` and `annotations` apart, fields of its spec."""
    status, annotations = fields.pop("status", {}), fields.pop("annotations", {})
    value = deployment(replicas=replicas, **fields)
    own = {"namespace": "default", "uid": "d", "generation": 1, "annotations": annotations}
    return {**value, "metadata": {**value["metadata"], **own}, "status": status}


def replica_set(owner: Object, revision: int, replicas: int = 3, **status: int) -> Object:
    """A ReplicaSet of a Deployment's present template, all of its pods available."""
    one = resized(first(owner, [], replicas), replicas, aim_of(owner))
    one["metadata"]["annotations"][REVISION] = str(revision)
    one["metadata"]["creationTimestamp"] = stamp(T0 + revision)
    counts = dict.fromkeys(["replicas", "readyReplicas", "availableReplicas"], replicas)
    return {**one, "status": counts | status}


def test_the_current_one_has_the_same_template_but_for_its_hash() -> None:
    one, two = wanted(), wanted(image="two")
    sets = [replica_set(one, 1), replica_set(two, 2)]
    assert current(one, sets) is sets[0]
    assert current(two, sets) is sets[1]
    assert current(wanted(image="three"), sets) is None
    twin = {**replica_set(one, 3), "metadata": {**sets[0]["metadata"], "creationTimestamp": "2030"}}
    assert current(one, [twin, *sets]) is sets[0]


def test_a_new_one_is_named_after_its_template() -> None:
    one = first(wanted(), [], 2)
    mark = one["metadata"]["labels"]["pod-template-hash"]
    assert one["metadata"]["name"] == f"web-{mark}"
    assert one["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": mark}}
    assert one["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == mark
    assert one["metadata"]["annotations"] == {REVISION: "1", DESIRED: "3", MOST: "4"}
    assert first(wanted(), [], 2) == one
    other = first(wanted(status={"collisionCount": 1}), [], 2)
    assert other["metadata"]["name"] != one["metadata"]["name"]
    assert "pod-template-hash" not in str(wanted())  # the Deployment itself is not touched


def test_annotations_are_taken_over_and_the_revision_is_the_highest() -> None:
    cause, applied = (
        "kubernetes.io/change-cause",
        "kubectl.kubernetes.io/last-applied-configuration",
    )
    owner = wanted(annotations={cause: "because", applied: "{}", REVISION: "7"}, minReadySeconds=5)
    one = replica_set(wanted(), 1)
    before = copy.deepcopy(one)
    changed = numbered(owner, one, [replica_set(wanted(image="two"), 4)])
    assert (
        changed["metadata"]["annotations"] | {cause: "because", REVISION: "5"}
        == (changed["metadata"]["annotations"])
    )
    assert applied not in changed["metadata"]["annotations"]
    assert changed["spec"]["minReadySeconds"] == 5
    assert one == before
    assert numbered(owner, changed, []) is changed


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"type": "Recreate"}, Aim(3)),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": "34%"}},
         Aim(3, 2, 1)),
    ],
)  # fmt: skip
def test_the_strategy_says_how_far_it_may_go(strategy: Object, expected: Aim) -> None:
    assert aim_of(wanted(strategy=strategy)) == expected


def test_a_change_of_replicas_is_seen_in_what_was_wanted_before() -> None:
    sets = [replica_set(wanted(3), 1)]
    assert not rescaled(wanted(3), sets)
    assert rescaled(wanted(4), sets)
    assert not rescaled(wanted(4), [replica_set(wanted(3), 1, replicas=0)])  # nothing to share out


def test_only_empty_ones_are_forgotten_the_oldest_first() -> None:
    owner = wanted(revisionHistoryLimit=1)
    sizes = {1: 0, 2: 3, 3: 0, 10: 0}
    old = [replica_set(wanted(image=str(n)), n, replicas=size) for n, size in sizes.items()]
    gone = [one["metadata"]["annotations"][REVISION] for one in superfluous(owner, old)]
    assert gone == ["1", "3"]
    assert superfluous(wanted(revisionHistoryLimit=3), old) == []


STATUS = {
    "ProgressDeadlineExceeded": "False",
    "DeploymentPaused": "Unknown",
    "DeploymentResumed": "Unknown",
}


def progressing(reason: str, age: int) -> Object:
    since, status = stamp(T0 - age), STATUS.get(reason, "True")
    times = {"lastUpdateTime": since, "lastTransitionTime": since}
    return {"type": "Progressing", "status": status, "reason": reason, "message": "", **times}


@pytest.mark.parametrize(
    ("before", "available", "expected", "wait"),
    [
        (None, 0, "FoundNewReplicaSet", 601),
        (progressing("ReplicaSetUpdated", 10), 1, "ReplicaSetUpdated", 591),
        (progressing("ReplicaSetUpdated", 10), 2, "ReplicaSetUpdated", 601),
        (progressing("ReplicaSetUpdated", 601), 1, "ProgressDeadlineExceeded", None),
        (progressing("ReplicaSetUpdated", 601), 2, "ReplicaSetUpdated", 601),
        (progressing("ProgressDeadlineExceeded", 9), 1, "ProgressDeadlineExceeded", None),
        (progressing("ReplicaSetUpdated", 10), 3, "NewReplicaSetAvailable", None),
        (progressing("NewReplicaSetAvailable", 9999), 1, "NewReplicaSetAvailable", None),
        (progressing("DeploymentPaused", 10), 1, "DeploymentResumed", 601),
    ],
)
def test_progress(before: Object | None, available: int, expected: str, wait: float | None) -> None:
    """Of three pods one was available; now so many are."""
    counts = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 1}
    owner = wanted(status={**counts, "conditions": [before] if before else []})
    told = status_of(owner, replica_set(owner, 1, availableReplicas=available), [], T0)
    found = condition({"status": told.status}, "Progressing") or {}
    assert (found["status"], found["reason"]) == (STATUS.get(expected, "True"), expected)
    assert told.wait == wait


@pytest.mark.parametrize(
    ("strategy", "available", "enough"),
    [
        ({"type": "Recreate"}, 2, False),
        ({"type": "Recreate"}, 3, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}, 2, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}, 1, False),
    ],
)
def test_how_many_must_be_available(strategy: Object, available: int, enough: bool) -> None:
    owner = wanted(strategy=strategy)
    status = status_of(owner, replica_set(owner, 1, availableReplicas=available), [], T0).status
    found = condition({"status": status}, "Available") or {}
    assert found["status"] == str(enough)


def test_without_a_deadline_nothing_is_said_of_progress() -> None:
    owner = wanted(progressDeadlineSeconds=None)
    told = status_of(owner, replica_set(owner, 1), [], T0)
    assert [one["type"] for one in told.status["conditions"]] == ["Available"]
    assert told.wait is None


def test_the_counts_of_all_its_sets() -> None:
    owner = wanted()
    old = replica_set(wanted(image="old"), 1, replicas=2)
    new = replica_set(owner, 2, replicas=2, availableReplicas=1)
    status = status_of(owner, new, [old], T0, begun=True).status
    assert {name: status[name] for name in status if name.endswith("eplicas")} == {
        "replicas": 4,
        "updatedReplicas": 2,
        "readyReplicas": 4,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
    }
    assert [one["reason"] for one in status["conditions"]] == [
        "MinimumReplicasAvailable",
        "NewReplicaSetCreated",
    ]
