"""Ends and failures, over the API: nodes that fall silent, what is deleted and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from secondhop.apiserver.kinds import KINDS
from secondhop.client import Object
from secondhop.client.api import Deletion
from secondhop.controllers.conditions import condition
from secondhop.controllers.kinds import NAMESPACED, OWNERS
from secondhop.controllers.owners import deleting
from secondhop.controllers.pods import is_ready, node_of
from secondhop.controllers.times import stamp
from secondhop.errors import ApiError

from .play import Cluster, daemon_set, deployment, node, now, play, service

UNREACHABLE = "node.kubernetes.io/unreachable"


def pick(value: Object, *names: str) -> Object:
    return {name: value[name] for name in names}


async def beat(cluster: Cluster, *names: str, every: float = 10) -> None:
    """Renew the nodes' leases, as their kubelets do, until cancelled."""
    while True:
        for name in names:
            value = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": name, "renewTime": stamp(now())[:-1] + ".000000Z"},
            }
            try:
                stored = await cluster.api.get("Lease", name, "kube-node-lease")
                await cluster.api.update({**value, "metadata": stored["metadata"]})
            except ApiError:
                await cluster.api.create(value)
        await asyncio.sleep(every)


class Beating:
    """Nodes that live, for as long as a `with` lasts."""

    def __init__(self, cluster: Cluster, *names: str) -> None:
        self._cluster, self._names = cluster, names

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(beat(self._cluster, *self._names))
        await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def ready_addresses(slices: Sequence[Object]) -> dict[str, bool]:
    """Node -> whether its endpoint is ready."""
    found = [entry for one in slices for entry in one.get("endpoints") or []]
    return {entry["nodeName"]: entry["conditions"]["ready"] for entry in found}


def test_a_node_that_falls_silent_and_comes_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        async with Beating(cluster, "a", "b"):
            await cluster.apply(deployment(replicas=2), service())
            await asyncio.sleep(120)
            assert ready_addresses(await cluster.all("EndpointSlice")) == {"a": True, "b": True}
        cluster.kubelets.dead = {"b"}
        async with Beating(cluster, "a"):
            await asyncio.sleep(45)
            assert ready_addresses(await cluster.all("EndpointSlice")) == {"a": True, "b": True}
            await asyncio.sleep(6)
            assert ready_addresses(await cluster.all("EndpointSlice")) == {"a": True, "b": False}
            lost = await cluster.get("Node", "b")
            assert {c["type"]: c["status"] for c in lost["status"]["conditions"]} == dict.fromkeys(
                ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"], "Unknown"
            )
            assert {(t["key"], t["effect"]) for t in lost["spec"]["taints"]} == {
                (UNREACHABLE, "NoSchedule"),
                (UNREACHABLE, "NoExecute"),
            }
            assert await cluster.told("NodeNotReady") == [
                "Node b status is now: NodeNotReady",
                "Node is not ready",
            ]
            await asyncio.sleep(295)
            assert len(await cluster.all("Pod")) == 2  # they endure it for 300 s
            await asyncio.sleep(10)
            pods = await cluster.all("Pod")
            assert sorted((node_of(pod), deleting(pod)) for pod in pods) == [
                ("a", False),
                ("a", False),
                ("b", True),  # nobody there ends it
            ]
        cluster.kubelets.dead = set()
        async with Beating(cluster, "a", "b"):
            back = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            await cluster.api.patch("Node", "b", "", back, form="strategic", subresource="status")
            for pod in await cluster.all("Pod"):
                cluster.kubelets.queue.add(("default", pod["metadata"]["name"]))
            await asyncio.sleep(5)
            assert not (await cluster.get("Node", "b"))["spec"].get("taints")
            assert await cluster.nodes_of() == ["a", "a"]
            assert len(await cluster.all("Pod")) == 2

    play(scenario, node_grace_seconds=50)


def test_the_grace_is_a_setting_and_daemons_stay() -> None:
    async def scenario(cluster: Cluster) -> None:
        async with Beating(cluster, "a", "b"):
            await cluster.apply(daemon_set())
        async with Beating(cluster, "a"):
            await asyncio.sleep(15)
            assert condition(await cluster.get("Node", "b"), "Ready") is not None
            await asyncio.sleep(1000)
            pods = await cluster.all("Pod")
            assert sorted((node_of(p), deleting(p), is_ready(p)) for p in pods) == [
                ("a", False, True),
                ("b", False, False),
            ]

    play(scenario, node_grace_seconds=12)


def test_a_taint_that_does_not_execute_drives_nobody_away_and_one_that_does_drives_at_once() -> (
    None
):
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        taint = {"key": "maintenance", "effect": "NoSchedule"}
        await cluster.patch("Node", "a", {"spec": {"taints": [taint]}}, "")
        assert await cluster.nodes_of() == ["a", "b"]
        await cluster.patch(
            "Node", "a", {"spec": {"taints": [{**taint, "effect": "NoExecute"}]}}, ""
        )
        assert await cluster.nodes_of() == ["b", "b"]

    play(scenario)


def test_patience_with_a_taint_of_unknown_age_counts_from_when_it_was_seen() -> None:
    async def scenario(cluster: Cluster) -> None:
        patience = {
            "key": "x",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 20,
        }
        await cluster.apply(deployment(replicas=2, pod={"tolerations": [patience]}))
        taint = {"key": "x", "effect": "NoExecute"}
        for name in "ab":
            await cluster.api.patch("Node", name, "", {"spec": {"taints": [taint]}})
        before = await cluster.names("Pod")
        await asyncio.sleep(18)
        assert await cluster.names("Pod") == before
        await asyncio.sleep(4)
        assert not set(await cluster.names("Pod")) & set(before)

    play(scenario)


def test_pods_of_a_node_that_is_gone_go_too() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        cluster.kubelets.dead = {"b"}
        await cluster.delete("Node", "b", "")
        assert await cluster.nodes_of() == ["a", "a"]

    play(scenario)


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    async def scenario(cluster: Cluster) -> None:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        await cluster.apply(space)
        for value in (deployment(replicas=2), service()):
            value["metadata"]["namespace"] = "shop"
            await cluster.apply(value)
        cluster.kubelets.dead = {"a"}
        await cluster.delete("Namespace", "shop", "")
        assert (await cluster.get("Namespace", "shop"))["status"]["phase"] == "Terminating"
        assert len(await cluster.all("Pod", "shop")) == 1
        cluster.kubelets.dead = set()
        cluster.kubelets.queue.add(("shop", (await cluster.names("Pod", "shop"))[0]))
        await cluster.settle()
        assert "shop" not in await cluster.names("Namespace")
        for kind in ("Pod", "ReplicaSet", "Deployment", "Service", "EndpointSlice", "Event"):
            assert not await cluster.all(kind, "shop")

    play(scenario)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_deletion_cascades(propagation: Any) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2), service())
        cluster.kubelets.dead = {"a"}
        await cluster.delete("Deployment", "web", propagation=propagation)
        waits = propagation == "Foreground"  # for the pod that nobody ends
        assert await cluster.names("Deployment") == (["web"] if waits else [])
        assert len(await cluster.all("ReplicaSet")) == waits
        assert [deleting(pod) for pod in await cluster.all("Pod")] == [True]
        cluster.kubelets.dead = set()
        cluster.kubelets.queue.add(("default", (await cluster.names("Pod"))[0]))
        await cluster.settle()
        for kind in ("Pod", "ReplicaSet", "Deployment"):
            assert not await cluster.all(kind)
        (one,) = [s for s in await cluster.all("EndpointSlice") if "web" in s["metadata"]["name"]]
        assert not one.get("endpoints")
        await cluster.delete("Service", "web")
        assert "web" not in str(await cluster.names("EndpointSlice"))
        assert "web" not in await cluster.names("Endpoints")

    play(scenario)


def test_orphans_stay_and_are_adopted() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2))
        pods = await cluster.names("Pod")
        await cluster.delete("Deployment", "web", propagation="Orphan")
        (left,) = await cluster.all("ReplicaSet")
        assert not left["metadata"].get("ownerReferences")
        await cluster.delete("ReplicaSet", left["metadata"]["name"], propagation="Orphan")
        assert await cluster.names("Pod") == pods
        assert not any(p["metadata"].get("ownerReferences") for p in await cluster.all("Pod"))

    play(scenario)


def test_what_two_own_stays_until_both_are_gone() -> None:
    async def scenario(cluster: Cluster) -> None:
        def note(name: str, *owners: Object) -> Object:
            references = [
                {"apiVersion": "v1", "kind": "ConfigMap", **pick(one["metadata"], "name", "uid")}
                for one in owners
            ]
            metadata = {"name": name, "ownerReferences": references}
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

        await cluster.apply(note("one"), note("two"))
        await cluster.apply(note("child", *(await cluster.all("ConfigMap"))))
        await cluster.delete("ConfigMap", "one")
        (left,) = (await cluster.get("ConfigMap", "child"))["metadata"]["ownerReferences"]
        assert left["name"] == "two"
        await cluster.delete("ConfigMap", "two")
        assert await cluster.names("ConfigMap") == []
        stranger = {"metadata": {"name": "lost", "uid": "no-such"}}
        await cluster.apply(note("orphan", stranger))
        assert await cluster.names("ConfigMap") == []

    play(scenario)


def test_events_end_after_an_hour_and_are_few() -> None:
    async def scenario(cluster: Cluster) -> None:
        pod = {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": "default", "uid": "u"}
        for number in range(40):
            event = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"web.{number}", "namespace": "default"},
                "involvedObject": pod,
                "message": str(number),
                "lastTimestamp": stamp(now()),
            }
            await cluster.api.create(event)
            await asyncio.sleep(1)
        found = [e for e in await cluster.all("Event") if e["involvedObject"]["name"] == "web"]
        assert sorted(int(e["message"]) for e in found) == list(range(15, 40))
        await asyncio.sleep(3601)
        assert not await cluster.all("Event")

    play(scenario)


EXHAUSTED = "Error syncing load balancer: no address of the pool is free"


def test_a_balancer_address_comes_and_goes() -> None:
    from ipaddress import ip_network

    async def scenario(cluster: Cluster) -> None:
        async def address(name: str) -> list[Object]:
            status = (await cluster.get("Service", name))["status"]
            return list((status.get("loadBalancer") or {}).get("ingress") or [])

        await cluster.apply(
            service("one", type="LoadBalancer"), service("two", type="LoadBalancer")
        )
        assert await address("one") == [{"ip": "172.31.0.1", "ipMode": "VIP"}]
        assert await address("two") == []
        assert [
            (event["involvedObject"]["name"], event["type"], event["reason"], event["message"])
            for event in await cluster.all("Event")
        ] == [("two", "Warning", "SyncLoadBalancerFailed", EXHAUSTED)]
        await cluster.apply(service("other", type="LoadBalancer", loadBalancerClass="x.io/other"))
        assert await address("other") == []
        await cluster.patch("Service", "one", {"spec": {"type": "ClusterIP"}})
        assert await address("one") == []
        assert await address("two") == [{"ip": "172.31.0.1", "ipMode": "VIP"}]

    play(scenario, pool=(ip_network("172.31.0.1/32"),))


def test_the_end_of_a_namespace_reaches_every_kind() -> None:
    made = [kind for kind in KINDS.values() if "create" in kind.verbs]
    assert set(NAMESPACED) == {kind.kind for kind in made if kind.namespaced}
    assert set(OWNERS) == {kind.kind for kind in made}


def test_a_node_that_says_that_it_is_not_ready() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2), service())
        (condition_,) = (await cluster.get("Node", "b"))["status"]["conditions"]
        changed = {"status": {"conditions": [{**condition_, "status": "False"}]}}
        await cluster.api.patch("Node", "b", "", changed, subresource="status")
        await cluster.settle()
        assert [t["key"] for t in (await cluster.get("Node", "b"))["spec"]["taints"]] == [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/not-ready",
        ]
        assert ready_addresses(await cluster.all("EndpointSlice")) == {"a": True, "b": False}
        (lost,) = [pod for pod in await cluster.all("Pod") if node_of(pod) == "b"]
        await cluster.kubelets.tell(lost, True)  # its kubelet knows better, and keeps the last word
        await cluster.settle()
        assert ready_addresses(await cluster.all("EndpointSlice")) == {"a": True, "b": True}

    play(scenario)


def test_a_node_without_conditions_is_given_time() -> None:
    async def scenario(cluster: Cluster) -> None:
        fresh = node("c")
        del fresh["status"]["conditions"]
        await cluster.apply(fresh)
        assert not (await cluster.get("Node", "c"))["spec"].get("taints")
        await asyncio.sleep(60)
        assert (condition(await cluster.get("Node", "c"), "Ready") or {})["status"] == "Unknown"

    play(scenario, node_grace_seconds=50)


def test_stopping_is_clean() -> None:
    """`play` cancels the controllers and lets nothing but the cancellation out."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.api.create(
            {**deployment(), "metadata": {"name": "web", "namespace": "default"}}
        )

    play(scenario)


def test_deletion_of_what_is_gone_is_no_error() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=1))
        (pod,) = await cluster.names("Pod")
        await cluster.api.delete("Pod", pod, "default", Deletion(grace=0))
        await cluster.settle()
        assert len(await cluster.all("Pod")) == 1

    play(scenario)


def test_nodes_may_come_late() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(deployment(replicas=2, pod={"nodeSelector": {"disk": "fast"}}))
        assert await cluster.nodes_of() == ["", ""]
        fast = node("c")
        fast["metadata"]["labels"]["disk"] = "fast"
        await cluster.apply(fast)
        assert await cluster.nodes_of() == ["c", "c"]

    play(scenario)
