"""EndpointSlices and Endpoints: what they say, and how little is written to say it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.client import Object, meta
from secondhop.controllers.endpointslices import Group, Writes, writes
from secondhop.manifests.cluster import selection_of
from secondhop.manifests.endpoints import HEADLESS, SERVICE_NAME, derived, sliced
from secondhop.manifests.nodes import read_node
from secondhop.manifests.pods import read_pods
from secondhop.manifests.resource import stored
from secondhop.manifests.services import Declared, read_service
from secondhop.model.version import NEWEST

from .play import Cluster, deployment, node, play, service

Entry = dict[str, Any]


def entry(number: int, **fields: Any) -> Entry:
    return {"addresses": [f"10.0.{number // 250}.{number % 250}"], **fields}


def stored_service(**metadata: Any) -> Object:
    own = {"name": "web", "namespace": "default", "uid": "u", **metadata}
    return {"apiVersion": "v1", "kind": "Service", "metadata": own, "spec": {}}


def group(*entries: Entry, port: int = 80) -> Group:
    return Group(
        "IPv4", [{"name": "", "port": port, "protocol": "TCP"}] if entries else [], [*entries]
    )


class Stored:
    """Slices as the API would hold them."""

    def __init__(self) -> None:
        self.slices: dict[str, Object] = {}
        self._next = 0

    def write(self, *groups: Group, service: Object | None = None) -> Writes:
        todo = writes(service or stored_service(), groups, list(self.slices.values()))
        for one in todo.create:
            self._next += 1
            metadata = {**one["metadata"], "name": f"web-{self._next}"}
            self.slices[metadata["name"]] = {**one, "metadata": metadata}
        for one in todo.update:
            self.slices[meta(one)[1]] = one
        for one in todo.delete:
            del self.slices[meta(one)[1]]
        return todo

    @property
    def addresses(self) -> list[list[str]]:
        return [[e["addresses"][0] for e in one["endpoints"]] for one in self.slices.values()]


def counts(todo: Writes) -> tuple[int, int, int]:
    return len(todo.create), len(todo.update), len(todo.delete)


def test_a_selector_that_matches_nothing_has_one_empty_slice() -> None:
    there = Stored()
    assert counts(there.write(group())) == (1, 0, 0)
    (one,) = there.slices.values()
    assert (one["endpoints"], one["ports"]) == ([], [])
    assert counts(there.write(group())) == (0, 0, 0)
    assert counts(there.write(group(entry(1)))) == (1, 0, 1)
    assert counts(there.write(group())) == (1, 0, 1)


def test_a_hundred_in_each_slice_and_none_is_moved() -> None:
    there = Stored()
    everyone = [entry(n) for n in range(250)]
    there.write(group(*everyone))
    assert [len(part) for part in there.addresses] == [100, 100, 50]
    before = there.addresses
    assert counts(there.write(group(*reversed(everyone)))) == (0, 0, 0)
    everyone[3] = entry(3, nodeName="other")
    assert counts(there.write(group(*everyone))) == (0, 1, 0)
    assert there.addresses == before
    del everyone[0]
    everyone.append(entry(400))
    assert counts(there.write(group(*everyone))) == (0, 1, 0)  # in the place that is free
    assert [len(part) for part in there.addresses] == [100, 100, 50]
    assert counts(there.write(group(*everyone[:99]))) == (0, 1, 2)


def test_other_ports_are_other_slices() -> None:
    there = Stored()
    assert counts(there.write(group(entry(1)), group(entry(2), port=81))) == (2, 0, 0)
    assert counts(there.write(group(entry(1), entry(2)))) == (0, 1, 1)


def test_labels_follow_the_service() -> None:
    there = Stored()
    there.write(group(entry(1)), service=stored_service(labels={"team": "x", HEADLESS: "mine"}))
    (one,) = there.slices.values()
    managed = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    assert one["metadata"]["labels"] == {"team": "x", SERVICE_NAME: "web", **managed}
    assert one["metadata"]["generateName"] == "web-"
    assert one["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert counts(there.write(group(entry(1)))) == (0, 1, 0)


@given(st.lists(st.dictionaries(st.integers(0, 400), st.integers(0, 3), max_size=320), max_size=4))
def test_any_change_leads_to_what_is_wanted(steps: list[dict[int, int]]) -> None:
    there = Stored()
    for step in steps:
        ports: dict[int, list[Entry]] = {}
        for number, port in step.items():
            ports.setdefault(port, []).append(entry(number))
        groups = [group(*entries, port=port) for port, entries in ports.items()] or [group()]
        there.write(*groups)
        found = [
            (a, one["ports"]) for one in there.slices.values() for a in map(str, one["endpoints"])
        ]
        wanted = [(a, one.ports) for one in groups for a in map(str, one.endpoints)]
        assert sorted(map(str, found)) == sorted(map(str, wanted))
        assert all(len(one["endpoints"]) <= 100 for one in there.slices.values())
        assert sum(not one["endpoints"] for one in there.slices.values()) == (not step)
        assert counts(there.write(*groups)) == (0, 0, 0)


async def found(cluster: Cluster, name: str = "web") -> list[Object]:
    return await cluster.all("EndpointSlice", labels=f"{SERVICE_NAME}={name}")


def spec_of(app: str, *ports: Object, **spec: Any) -> Object:
    container = {"name": "whoami", "image": "traefik/whoami", "ports": list(ports)}
    return {"containers": [container], **spec}


def test_slices_say_what_the_model_derives() -> None:
    """One derivation: what is read back from the slices is what a prediction would have derived."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(
            service(
                ports=[
                    {"name": "http", "port": 80, "targetPort": "web"},
                    {"name": "other", "port": 81, "targetPort": 8081},
                ],
                trafficDistribution="PreferSameNode",
            ),
            deployment(replicas=3, pod=spec_of("web", {"containerPort": 8080, "name": "web"})),
        )
        other = deployment(
            "green", replicas=2, pod=spec_of("web", {"containerPort": 9, "name": "web"})
        )
        other["spec"]["template"]["metadata"]["labels"]["app"] = "web"
        other["spec"]["template"]["metadata"]["labels"]["track"] = "green"
        other["spec"]["selector"]["matchLabels"] = {"track": "green"}
        await cluster.apply(other)
        pods = await cluster.all("Pod")
        await cluster.kubelets.tell(pods[0], False)
        cluster.kubelets.dead = {"a", "b"}
        await cluster.delete("Pod", meta(pods[1])[1])
        slices = await found(cluster)
        declared = read_service(stored(await cluster.get("Service", "web")))
        assert isinstance(declared, Declared)
        nodes = {meta(n)[1]: read_node(stored(n)) for n in await cluster.all("Node")}
        models = [one.pod for one in read_pods([stored(p) for p in await cluster.all("Pod")])]
        expected = derived(selection_of(declared, NEWEST), models, nodes)
        assert sliced([stored(one) for one in slices]) == expected
        assert {len(endpoints) for endpoints in expected.values()} == {5}
        assert len(slices) == 2  # two sets of numbers

    play(scenario, nodes=[node("a", zone="1"), node("b", zone="2")])


def test_an_endpoint_in_full() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(
            service(
                trafficDistribution="PreferSameNode", ports=[{"port": 80, "appProtocol": "h2c"}]
            ),
            deployment(replicas=1, pod={"hostname": "me", "subdomain": "web"}),
        )
        (one,), (pod,) = await found(cluster), await cluster.all("Pod")
        assert one["endpoints"] == [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "hints": {"forNodes": [{"name": "a"}], "forZones": [{"name": "z"}]},
                "hostname": "me",
                "nodeName": "a",
                "targetRef": {
                    "kind": "Pod",
                    "namespace": "default",
                    "name": meta(pod)[1],
                    "uid": pod["metadata"]["uid"],
                },
                "zone": "z",
            }
        ]
        assert one["ports"] == [{"name": "", "port": 80, "protocol": "TCP", "appProtocol": "h2c"}]

    play(scenario, nodes=[node("a", zone="z")])


@pytest.mark.parametrize(
    ("publish", "ready", "going", "conditions", "legacy"),
    [
        (False, True, False, (True, True, False), "addresses"),
        (False, False, False, (False, False, False), "notReadyAddresses"),
        (False, True, True, (False, True, True), None),
        (True, False, False, (True, False, False), "addresses"),
        (True, False, True, (True, False, True), "addresses"),
    ],
)
def test_conditions(
    publish: bool, ready: bool, going: bool, conditions: tuple[bool, bool, bool], legacy: str | None
) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(service(publishNotReadyAddresses=publish), deployment(replicas=1))
        (pod,) = await cluster.all("Pod")
        await cluster.patch("Deployment", "web", {"spec": {"paused": True}})
        await cluster.kubelets.tell(pod, ready)
        if going:
            cluster.kubelets.dead = {"a", "b"}
            await cluster.api.patch(
                "Pod", meta(pod)[1], "default", {"metadata": {"ownerReferences": []}}
            )
            await cluster.api.delete("Pod", meta(pod)[1], "default")
        await cluster.settle()
        entries = [e for one in await found(cluster) for e in one.get("endpoints") or []]
        (mine,) = [e for e in entries if e["targetRef"]["name"] == meta(pod)[1]]
        told = mine["conditions"]
        assert (told["ready"], told["serving"], told["terminating"]) == conditions
        endpoints = await cluster.get("Endpoints", "web")
        places = [
            kind
            for subset in endpoints.get("subsets") or []
            for kind in ("addresses", "notReadyAddresses")
            for address in subset.get(kind) or []
            if address["targetRef"]["name"] == meta(pod)[1]
        ]
        assert places == ([legacy] if legacy else [])

    play(scenario)


def test_services_that_the_controller_leaves_alone() -> None:
    async def scenario(cluster: Cluster) -> None:
        external = service("far", type="ExternalName", externalName="example.com")
        del external["spec"]["ports"]
        await cluster.apply(
            service("mine", selector=None), external, service("headless", clusterIP="None")
        )
        assert not await found(cluster, "mine")
        assert not await found(cluster, "far")
        (one,) = await found(cluster, "headless")
        assert HEADLESS in one["metadata"]["labels"]
        assert "mine" not in await cluster.names("Endpoints")

    play(scenario)


def test_a_slice_that_somebody_spoils_or_takes_away_is_mended() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(service(), deployment(replicas=1))
        (one,) = await found(cluster)
        await cluster.patch("EndpointSlice", meta(one)[1], {"endpoints": []})
        assert (await found(cluster))[0]["endpoints"] == one["endpoints"]
        await cluster.delete("EndpointSlice", meta(one)[1])
        assert (await found(cluster))[0]["endpoints"] == one["endpoints"]

    play(scenario)


def test_zones_are_followed_live() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(service(trafficDistribution="PreferSameZone"), deployment(replicas=1))
        await cluster.patch(
            "Node", "a", {"metadata": {"labels": {"topology.kubernetes.io/zone": "z"}}}, ""
        )
        ((one,),) = [s["endpoints"] for s in await found(cluster)]
        assert (one["zone"], one["hints"]) == ("z", {"forZones": [{"name": "z"}]})

    play(scenario)


def test_a_ready_pod_is_in_the_slice_at_once() -> None:
    """No stage of the way waits for a clock."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.apply(service())
        value = deployment(replicas=1)
        value["metadata"]["namespace"] = "default"
        await cluster.api.create(value)
        await asyncio.sleep(0.001)
        assert [len(s.get("endpoints") or []) for s in await found(cluster)] == [1]

    play(scenario)
