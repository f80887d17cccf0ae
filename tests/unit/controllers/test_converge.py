"""Whatever is written, and in whatever order: the cluster comes to rest, and at rest it is what was
asked for."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secondhop.client import Object, meta
from secondhop.client.api import Deletion, labels_of
from secondhop.controllers.fitting import Scene, fit
from secondhop.controllers.owners import controller_of, deleting
from secondhop.controllers.pods import is_active, node_of
from secondhop.errors import ApiError
from secondhop.manifests.endpoints import SERVICE_NAME

from .play import Cluster, daemon_set, deployment, node, play, service

Step: TypeAlias = tuple[str, int, int]
NAMES = ("red", "blue")


async def scale(cluster: Cluster, name: str, number: int) -> None:
    await cluster.api.patch("Deployment", name, "default", {"spec": {"replicas": number}})


async def change(cluster: Cluster, name: str, number: int) -> None:
    """Another template; with a few of them, old ones come back."""
    notes = {"metadata": {"annotations": {"version": str(number % 3)}}}
    for kind in ("Deployment", "DaemonSet"):
        await cluster.api.patch(kind, name, "default", {"spec": {"template": notes}})


async def pause(cluster: Cluster, name: str, number: int) -> None:
    await cluster.api.patch("Deployment", name, "default", {"spec": {"paused": bool(number % 2)}})


async def cordon(cluster: Cluster, name: str, number: int) -> None:
    which = "abc"[number % 3]
    await cluster.api.patch("Node", which, "", {"spec": {"unschedulable": name == "red"}})


async def kill_pod(cluster: Cluster, name: str, number: int) -> None:
    if pods := await cluster.all("Pod"):
        grace = 0 if name == "red" else None
        await cluster.api.delete(
            "Pod", meta(pods[number % len(pods)])[1], "default", Deletion(grace=grace)
        )


async def relabel(cluster: Cluster, name: str, number: int) -> None:
    if pods := await cluster.all("Pod"):
        which = meta(pods[number % len(pods)])[1]
        await cluster.api.patch("Pod", which, "default", {"metadata": {"labels": {"app": name}}})


async def delete(cluster: Cluster, name: str, number: int) -> None:
    kind = ("Deployment", "ReplicaSet", "Service", "EndpointSlice", "DaemonSet")[number % 5]
    if found := await cluster.all(kind, labels="" if number % 5 != 3 else SERVICE_NAME):
        how = Deletion(propagation=("Background", "Foreground")[number % 2])
        await cluster.api.delete(kind, meta(found[number % len(found)])[1], "default", how)


async def create(cluster: Cluster, name: str, number: int) -> None:
    strategies: list[Object] = [
        {"type": "Recreate"},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
    ]
    for value in (
        deployment(name, number % 6, strategy=strategies[number % 3]),
        daemon_set(f"{name}"),
        service(name),
    ):
        value = copy.deepcopy(value)
        if value["kind"] == "DaemonSet":  # the same name, but pods of its own
            value["spec"]["selector"] = {"matchLabels": {"daemon": name}}
            value["spec"]["template"]["metadata"]["labels"] = {"daemon": name}
        value["metadata"]["namespace"] = "default"
        await cluster.api.create(value)


async def wait(cluster: Cluster, name: str, number: int) -> None:
    await asyncio.sleep(number / 1000)


async def turn(cluster: Cluster, name: str, number: int) -> None:
    """Let the controllers take a few turns, so that writes meet work half done."""
    for _ in range(number):
        await asyncio.sleep(0)


STEPS: dict[str, Callable[[Cluster, str, int], Awaitable[None]]] = {
    function.__name__: function
    for function in (
        scale, change, pause, cordon, kill_pod, relabel, delete, create, wait, turn
    )
}  # fmt: skip


async def take(cluster: Cluster, step: Step) -> None:
    """One step; the API may refuse it."""
    name, which, number = step
    try:
        await STEPS[name](cluster, NAMES[which], number)
    except ApiError as error:
        if error.reason not in ("NotFound", "AlreadyExists", "Conflict"):
            raise


async def at_rest(cluster: Cluster) -> None:
    """Everything is as it was asked for."""
    pods = await cluster.all("Pod")
    assert not any(deleting(pod) for pod in pods)
    nodes = await cluster.all("Node")
    sets = await cluster.all("ReplicaSet")
    owned = Counter((controller_of(pod) or {}).get("uid") for pod in pods if is_active(pod))
    for one in sets:
        assert owned[one["metadata"]["uid"]] == one["spec"]["replicas"]
    alive = {one["metadata"]["uid"] for one in sets}
    for one in await cluster.all("DaemonSet"):
        alive.add(one["metadata"]["uid"])
        mine = [p for p in pods if (controller_of(p) or {}).get("uid") == one["metadata"]["uid"]]
        assert sorted(map(node_of, mine)) == ["a", "b", "c"]
        notes = one["spec"]["template"]["metadata"].get("annotations")
        assert all(pod["metadata"].get("annotations") == notes for pod in mine)
    assert {uid for uid in owned if uid} <= alive
    for one in await cluster.all("Deployment"):
        await _rolled_out(one, sets)
    for pod in pods:
        if not node_of(pod):
            scene = Scene(nodes, lambda name: [p for p in pods if node_of(p) == name])
            assert not fit(pod, scene).fitting
    for one in await cluster.all("Service"):
        if one["spec"].get("selector"):
            await _sliced(cluster, one, pods)


async def _rolled_out(one: Object, sets: list[Object]) -> None:
    mine = [s for s in sets if (controller_of(s) or {}).get("uid") == one["metadata"]["uid"]]
    sizes = [s["spec"]["replicas"] for s in mine if s["spec"]["replicas"]]
    assert one["status"]["observedGeneration"] == one["metadata"]["generation"]
    if one["spec"].get("paused"):
        return
    counted = one["status"].get("availableReplicas", 0)
    if counted == one["spec"]["replicas"]:  # no node may be left for them
        assert sum(sizes) == one["spec"]["replicas"]
        assert len(sizes) <= 1


async def _sliced(cluster: Cluster, one: Object, pods: list[Object]) -> None:
    name = meta(one)[1]
    slices = await cluster.all("EndpointSlice", labels=f"{SERVICE_NAME}={name}")
    found = [e["targetRef"]["name"] for s in slices for e in s.get("endpoints") or []]
    selector = one["spec"]["selector"].items()
    wanted = [meta(p)[1] for p in pods if node_of(p) and selector <= labels_of(p).items()]
    assert sorted(found) == sorted(wanted)


steps = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 1), st.integers(0, 30))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=25))
def test_any_sequence_of_writes_comes_to_rest(sequence: list[Step]) -> None:
    run_all(sequence)


@pytest.mark.soak
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=60))
def test_any_long_sequence_of_writes_comes_to_rest(sequence: list[Step]) -> None:
    run_all(sequence)


def run_all(sequence: list[Step]) -> None:
    async def scenario(cluster: Cluster) -> Any:
        for step in [("create", 0, 4), *sequence]:
            await take(cluster, step)
        await cluster.settle()
        await at_rest(cluster)

    play(scenario, nodes=[node(name) for name in "abc"])
