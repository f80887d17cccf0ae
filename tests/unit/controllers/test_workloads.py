"""Workloads from one end to the other: over the API, with kubelets that pretend."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from secondhop.client import Object, meta
from secondhop.client.api import labels_of
from secondhop.controllers.conditions import condition
from secondhop.controllers.owners import controller_of, deleting
from secondhop.controllers.pods import is_ready, node_of
from secondhop.errors import ApiError

from .play import Cluster, daemon_set, deployment, node, play, service, template

REVISION = "deployment.kubernetes.io/revision"


def image(name: str) -> Object:
    """The patch of `kubectl set image`."""
    containers = [{"name": "whoami", "image": name}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


async def images(cluster: Cluster) -> list[str]:
    pods = await cluster.all("Pod")
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods)


async def sizes(cluster: Cluster) -> dict[str, int]:
    """Revision -> replicas of the ReplicaSet."""
    sets = await cluster.all("ReplicaSet")
    return {one["metadata"]["annotations"][REVISION]: one["spec"]["replicas"] for one in sets}


def test_a_deployment_makes_its_pods_and_says_so() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=3))
        status = (await cluster.get("Deployment", "web"))["status"]
        counts = {name: status[name] for name in status if name.endswith("eplicas")}
        assert counts == dict.fromkeys(
            ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"], 3
        )
        assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Progressing", "True", "NewReplicaSetAvailable"),
        ]
        (one,) = await cluster.all("ReplicaSet")
        mark = labels_of(one)["pod-template-hash"]
        assert meta(one)[1] == f"web-{mark}"
        for pod in await cluster.all("Pod"):
            assert meta(pod)[1].startswith(f"web-{mark}-")
            assert labels_of(pod) == {"app": "web", "pod-template-hash": mark}
            assert (controller_of(pod) or {})["uid"] == one["metadata"]["uid"]
        assert await cluster.nodes_of() == ["a", "a", "b"]
        assert await cluster.told("ScalingReplicaSet") == [
            f"Scaled up replica set web-{mark} from 0 to 3"
        ]
        assert len(await cluster.told("SuccessfulCreate")) == 3
        assert len(await cluster.told("Scheduled")) == 3

    play(scenario)


def test_rollout_undo_and_restart() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=4))
        first = (await cluster.get("Deployment", "web"))["spec"]["template"]
        await cluster.patch("Deployment", "web", image("two"))
        assert await images(cluster) == ["two"] * 4
        assert await sizes(cluster) == {"1": 0, "2": 4}
        # `kubectl rollout undo` puts the old template back: its ReplicaSet becomes the newest
        await cluster.patch("Deployment", "web", {"spec": {"template": first}})
        assert await images(cluster) == ["traefik/whoami"] * 4
        assert await sizes(cluster) == {"3": 4, "2": 0}
        stamped = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        restart = {"spec": {"template": {"metadata": {"annotations": stamped}}}}
        before = await cluster.names("Pod")
        await cluster.patch("Deployment", "web", restart)
        assert await sizes(cluster) == {"3": 0, "2": 0, "4": 4}
        assert not set(before) & set(await cluster.names("Pod"))
        revision = (await cluster.get("Deployment", "web"))["metadata"]["annotations"][REVISION]
        assert revision == "4"

    play(scenario)


def test_a_rollout_stays_within_its_limits() -> None:
    async def scenario(cluster: Cluster) -> None:
        limits = {"maxSurge": 1, "maxUnavailable": 0}
        strategy = {"type": "RollingUpdate", "rollingUpdate": limits}
        await cluster.apply(deployment(replicas=3, strategy=strategy, minReadySeconds=5))
        await cluster.settle()
        rolling = asyncio.ensure_future(cluster.patch("Deployment", "web", image("two")))
        seen = []
        while not rolling.done():
            pods = [pod for pod in await cluster.all("Pod") if not deleting(pod)]
            seen.append((len(pods), sum(map(is_ready, pods))))
            await asyncio.sleep(0.5)
        await asyncio.sleep(30)
        assert await images(cluster) == ["two"] * 3
        assert max(total for total, _ in seen) == 4
        assert min(ready for _, ready in seen) == 3

    play(scenario)


def test_recreate_ends_all_old_pods_first() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2, strategy={"type": "Recreate"}))
        cluster.kubelets.dead = {"a", "b"}  # the old pods do not end
        await cluster.patch("Deployment", "web", image("two"))
        assert await images(cluster) == ["traefik/whoami"] * 2
        cluster.kubelets.dead = set()
        for pod in await cluster.all("Pod"):
            cluster.kubelets.queue.add(meta(pod))
        await cluster.settle()
        assert await images(cluster) == ["two"] * 2

    play(scenario)


def test_a_broken_image_stops_the_rollout_and_the_deadline_tells() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=4, progressDeadlineSeconds=60))
        await cluster.patch("Deployment", "web", image("broken"))
        assert (await images(cluster)).count("traefik/whoami") == 3
        progressing = condition(await cluster.get("Deployment", "web"), "Progressing") or {}
        assert (progressing["status"], progressing["reason"]) == ("True", "ReplicaSetUpdated")
        await asyncio.sleep(70)
        late = condition(await cluster.get("Deployment", "web"), "Progressing") or {}
        (broken,) = [one for one in await cluster.all("ReplicaSet") if "broken" in str(one)]
        assert (late["status"], late["reason"], late["message"]) == (
            "False",
            "ProgressDeadlineExceeded",
            f'ReplicaSet "{meta(broken)[1]}" has timed out progressing.',
        )
        await cluster.patch("Deployment", "web", image("three"))
        assert await images(cluster) == ["three"] * 4
        healed = condition(await cluster.get("Deployment", "web"), "Progressing") or {}
        assert (healed["status"], healed["reason"]) == ("True", "NewReplicaSetAvailable")

    play(scenario)


def test_paused_it_rolls_nothing_out_but_scales() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        await cluster.patch("Deployment", "web", {"spec": {"paused": True}})
        await cluster.patch("Deployment", "web", image("two"))
        await cluster.patch("Deployment", "web", {"spec": {"replicas": 3}})
        assert await images(cluster) == ["traefik/whoami"] * 3
        paused = condition(await cluster.get("Deployment", "web"), "Progressing") or {}
        assert (paused["status"], paused["reason"]) == ("Unknown", "DeploymentPaused")
        await cluster.patch("Deployment", "web", {"spec": {"paused": False}})
        assert await images(cluster) == ["two"] * 3
        done = condition(await cluster.get("Deployment", "web"), "Progressing") or {}
        assert done["reason"] == "NewReplicaSetAvailable"

    play(scenario)


@pytest.mark.parametrize("replicas", [0, 1, 5, 20])
def test_scaling(replicas: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=3))
        await cluster.patch("Deployment", "web", {"spec": {"replicas": replicas}})
        assert len(await cluster.all("Pod")) == replicas
        status = (await cluster.get("Deployment", "web"))["status"]
        assert status.get("availableReplicas", 0) == replicas

    play(scenario)


def test_old_revisions_beyond_the_limit_are_forgotten() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=1, revisionHistoryLimit=2))
        for n in range(5):
            await cluster.patch("Deployment", "web", image(f"v{n}"))
        assert await sizes(cluster) == {"4": 0, "5": 0, "6": 1}

    play(scenario)


def test_a_pod_that_loses_its_label_is_let_go_and_replaced_and_may_come_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        name = (await cluster.names("Pod"))[0]
        await cluster.patch("Pod", name, {"metadata": {"labels": {"app": "debug"}}})
        assert controller_of(await cluster.get("Pod", name)) is None
        assert len(await cluster.all("Pod")) == 3
        await cluster.patch("Pod", name, {"metadata": {"labels": {"app": "web"}}})
        assert len(await cluster.all("Pod")) == 2

    play(scenario)


def test_a_daemon_set_follows_the_nodes() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(daemon_set())
        assert await cluster.nodes_of() == ["a", "b"]
        taint = {"key": "only", "value": "me", "effect": "NoSchedule"}
        await cluster.apply(node("c"), node("d", taints=[taint]))
        assert await cluster.nodes_of() == ["a", "b", "c"]
        await cluster.patch("Node", "a", {"spec": {"unschedulable": True}}, "")
        assert await cluster.nodes_of() == ["a", "b", "c"]  # it tolerates that
        await cluster.patch(
            "Node", "b", {"spec": {"taints": [{**taint, "effect": "NoExecute"}]}}, ""
        )
        assert await cluster.nodes_of() == ["a", "c"]
        await cluster.delete("Node", "c", "")
        assert await cluster.nodes_of() == ["a"]
        status = (await cluster.get("DaemonSet", "agent"))["status"]
        assert status == {
            "currentNumberScheduled": 1,
            "desiredNumberScheduled": 1,
            "numberAvailable": 1,
            "numberMisscheduled": 0,
            "numberReady": 1,
            "observedGeneration": 1,
            "updatedNumberScheduled": 1,
        }

    play(scenario)


@pytest.mark.parametrize(
    ("limits", "most", "fewest"),
    [
        ({"maxUnavailable": 1}, 3, 2),
        ({"maxUnavailable": "100%"}, 3, 0),
        ({"maxSurge": 1, "maxUnavailable": 0}, 4, 3),
    ],
)
def test_a_daemon_set_rolls(limits: dict[str, Any], most: int, fewest: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": limits}
        await cluster.apply(daemon_set(updateStrategy=strategy, minReadySeconds=5))
        await asyncio.sleep(10)
        rolling = asyncio.ensure_future(cluster.patch("DaemonSet", "agent", image("two")))
        seen = []
        for _ in range(80):
            pods = [pod for pod in await cluster.all("Pod") if not deleting(pod)]
            seen.append((len(pods), sum(map(is_ready, pods))))
            await asyncio.sleep(0.5)
        await rolling
        assert await images(cluster) == ["two"] * 3
        assert await cluster.nodes_of() == ["a", "b", "c"]
        assert max(total for total, _ in seen) <= most
        assert min(ready for _, ready in seen) >= fewest

    play(scenario, nodes=[node("a"), node("b"), node("c")])


def test_on_delete_a_daemon_set_waits_for_the_hand() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(daemon_set(updateStrategy={"type": "OnDelete"}))
        await cluster.patch("DaemonSet", "agent", image("two"))
        assert await images(cluster) == ["traefik/whoami"] * 2
        await cluster.delete("Pod", (await cluster.names("Pod"))[0])
        assert await images(cluster) == ["traefik/whoami", "two"]

    play(scenario)


def test_a_daemon_waits_for_the_end_of_the_one_before() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(daemon_set())
        cluster.kubelets.dead = {"a", "b"}
        await cluster.delete("Pod", (await cluster.names("Pod"))[0])
        assert len(await cluster.all("Pod")) == 2

    play(scenario)


def test_cordon_and_drain() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=4), service())
        await cluster.patch("Node", "a", {"spec": {"unschedulable": True}}, "")
        (taint,) = (await cluster.get("Node", "a"))["spec"]["taints"]
        assert (taint["key"], taint["effect"]) == (
            "node.kubernetes.io/unschedulable",
            "NoSchedule",
        )
        for pod in await cluster.all("Pod"):
            if node_of(pod) == "a":
                namespace, name = meta(pod)
                where = {"namespace": namespace, "name": name}
                eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": where}
                await cluster.api.create(eviction, subresource="eviction")
        await cluster.settle()
        assert await cluster.nodes_of() == ["b"] * 4
        await cluster.patch("Node", "a", {"spec": {"unschedulable": None}}, "")
        assert not (await cluster.get("Node", "a"))["spec"].get("taints")

    play(scenario)


def test_what_fits_nowhere_waits_and_says_why_until_it_fits() -> None:
    async def scenario(cluster: Cluster) -> None:
        for name in "ab":
            await cluster.patch("Node", name, {"spec": {"unschedulable": True}}, "")
        await cluster.apply(deployment(replicas=1))
        (pod,) = await cluster.all("Pod")
        waiting = condition(pod, "PodScheduled") or {}
        assert (waiting["status"], waiting["reason"]) == ("False", "Unschedulable")
        assert waiting["message"] == (
            "0/2 nodes are available: 2 node(s) were unschedulable. preemption: 0/2 nodes are "
            "available: 2 Preemption is not helpful for scheduling."
        )
        assert await cluster.told("FailedScheduling") == [waiting["message"]]
        await cluster.patch("Node", "b", {"spec": {"unschedulable": None}}, "")
        assert await cluster.nodes_of() == ["b"]

    play(scenario)


def test_the_end_of_a_pod_makes_room_for_one_that_waits() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = template("web")
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        await cluster.apply(deployment(replicas=3, template=pod))
        assert await cluster.nodes_of() == ["", "a", "b"]
        waiting = next(p for p in await cluster.all("Pod") if not node_of(p))
        assert "2 node(s) didn't have free ports" in str(condition(waiting, "PodScheduled"))
        await cluster.patch("Deployment", "web", {"spec": {"replicas": 2}})
        assert await cluster.nodes_of() == ["a", "b"]
        await cluster.apply(deployment("other", replicas=1, template=_relabelled(pod, "other")))
        assert await cluster.nodes_of("app=other") == [""]
        await cluster.delete("Deployment", "web")
        assert await cluster.nodes_of("app=other") == ["a"]

    play(scenario)


def _relabelled(pod: Object, app: str) -> Object:
    other = copy.deepcopy(pod)
    other["metadata"]["labels"] = {"app": app}
    return other


def test_the_wishes_of_a_lab() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=3), deployment("two", replicas=3))
        assert await cluster.nodes_of("app=web") == ["b", "b", "b"]
        assert await cluster.nodes_of("app=two") == ["a", "a", "b"]

    play(scenario, placement={"web": ("b",), "two": ("a", "a", "b")})


def test_nothing_more_is_made_while_the_watch_is_late() -> None:
    """The cache is two seconds behind: who creates waits for it, rather than create again."""

    class Late:
        def __init__(self, api: Any) -> None:
            self._api = api

        def __getattr__(self, name: str) -> Any:
            return getattr(self._api, name)

        async def watch(self, *args: Any, **options: Any) -> Any:
            async for event in self._api.watch(*args, **options):
                await asyncio.sleep(2)
                yield event

    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=3))
        await asyncio.sleep(200)
        assert len(await cluster.told("SuccessfulCreate")) == 3
        assert len(await cluster.all("Pod")) == 3

    play(scenario, wrapped=Late)


def test_the_api_may_refuse_for_a_while() -> None:
    class Refusing:
        def __init__(self, api: Any) -> None:
            self._api, self._left = api, 5

        def __getattr__(self, name: str) -> Any:
            return getattr(self._api, name)

        async def create(self, value: Object, **options: Any) -> Any:
            if value["kind"] == "Pod" and self._left:
                self._left -= 1
                raise ApiError(403, "Forbidden", "exceeded quota")
            return await self._api.create(value, **options)

    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        assert len(await cluster.all("Pod")) == 2
        (event,) = [e for e in await cluster.all("Event") if e["reason"] == "FailedCreate"]
        assert (event["message"], event["type"]) == ("Error creating: exceeded quota", "Warning")
        assert event["count"] == 5
        (one,) = await cluster.all("ReplicaSet")
        assert condition(one, "ReplicaFailure") is None
        assert condition(await cluster.get("Deployment", "web"), "ReplicaFailure") is None

    play(scenario, wrapped=Refusing)
