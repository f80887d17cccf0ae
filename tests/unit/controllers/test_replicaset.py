"""How many pods, and which of them go first."""

from __future__ import annotations

from typing import Any

import pytest

from secondhop.client import Object, meta
from secondhop.controllers.replicaset import scaling, status_of
from secondhop.controllers.times import since_1970, stamp

T0 = since_1970("2026-01-01T00:00:00Z")


def pod(name: str, on: str = "a", phase: str = "Running", age: int = 100, **fields: Any) -> Object:
    """A pod that has been ready for `ready` seconds; None: it is not."""
    ready, annotations = fields.get("ready", 50), fields.get("annotations", {})
    condition = {"type": "Ready", "status": str(ready is not None)}
    condition["lastTransitionTime"] = stamp(T0 - (ready or 0))
    metadata = {"name": name, "namespace": "default", "annotations": annotations}
    metadata |= {"creationTimestamp": stamp(T0 - age), "labels": {"app": "web"}}
    metadata |= {"deletionTimestamp": "now"} if fields.get("going") else {}
    restarts = [{"restartCount": fields.get("restarts", 0)}]
    return {
        "metadata": metadata,
        "spec": {"nodeName": on} if on else {},
        "status": {"phase": phase, "conditions": [condition], "containerStatuses": restarts},
    }


COST = "controller.kubernetes.io/pod-deletion-cost"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("z", on="", phase="Pending", ready=None), pod("a", phase="Pending", ready=None)),
        (pod("z", phase="Pending", ready=None), pod("a", ready=None)),
        (pod("z", ready=None), pod("a")),
        (pod("z", annotations={COST: "-5"}), pod("a")),
        (pod("z", annotations={COST: "no number"}), pod("a", annotations={COST: "1"})),
        (pod("z", on="full"), pod("a")),
        (pod("z", ready=10), pod("a", ready=20)),
        (pod("z", restarts=3), pod("a", restarts=1)),
        (pod("z", age=10), pod("a", age=20)),
    ],
)
def test_the_pod_that_is_worth_less_goes_first(first: Object, second: Object) -> None:
    crowd = [pod("r1", on="full"), pod("r2", on="full"), pod("r3", on="full", going=True)]
    for pods in ([first, second], [second, first]):
        plan = scaling(1, pods, [*pods, *crowd])
        assert [meta(one)[1] for one in plan.delete] == ["z"]
        assert plan.create == 0


def test_what_has_finished_or_is_going_is_no_replica() -> None:
    pods = [pod("a"), pod("b", phase="Failed"), pod("c", going=True)]
    assert scaling(3, pods, pods).create == 2
    assert scaling(1, pods, pods) == (0, ())
    assert scaling(2000, [], []).create == 500


def owner(**spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {}}
    return {"metadata": {"generation": 4}, "spec": {"template": template, **spec}}


def test_status_counts_and_waits_for_pods_that_will_be_available() -> None:
    pods = [pod("a", ready=50), pod("b", ready=10), pod("c", ready=None), pod("d", going=True)]
    pods[2]["metadata"]["labels"] = {}
    status, wait = status_of(owner(minReadySeconds=30), pods, T0)
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 4,
    }
    assert wait == 20
    assert status_of(owner(), [], T0) == ({"replicas": 0, "observedGeneration": 4}, None)


def test_a_failure_to_create_is_a_condition_until_it_is_over() -> None:
    failing, _ = status_of(owner(), [], T0, "exceeded quota")
    (broken,) = failing["conditions"]
    assert (broken["type"], broken["reason"], broken["message"]) == (
        "ReplicaFailure",
        "FailedCreate",
        "exceeded quota",
    )
    assert "conditions" not in status_of({**owner(), "status": failing}, [], T0)[0]
