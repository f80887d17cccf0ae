"""Endpoints: slices as they are, or derived as the controller would (semantics §1.2)."""

from __future__ import annotations

from typing import Any

import pytest

from secondhop.manifests import World, with_readiness
from secondhop.model.cluster import Endpoint, ServicePortName

from .helpers import Object, container, deployment, lab, pod, refusals, service, slice_of, world

NODES = lab(
    nodes=[
        {"name": "a", "address": "192.168.1.1", "zone": "z"},
        {"name": "b", "address": "192.168.2.1"},
    ]
)


def endpoint(address: str, **fields: Any) -> Object:
    return {"addresses": [address], **fields}


def told(built: World, port: str = "") -> dict[str, str]:
    """`ip:port` -> its flags: R ready, S serving, T terminating; z, n hinted."""
    name = ServicePortName("default", "web", port, "TCP")
    return {str(e): flags(e) for e in built.cluster.endpoints.get(name, ())}


def flags(e: Endpoint) -> str:
    pairs = [("R", e.ready), ("S", e.serving), ("T", e.terminating)]
    hints = [("z", e.zone_hints), ("n", e.node_hints)]
    return "".join(letter for letter, value in [*pairs, *hints] if value)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, "RS"),
        ({}, "RS"),
        ({"ready": None, "serving": None, "terminating": None}, "RS"),
        ({"ready": False}, "S"),
        ({"ready": False, "serving": False}, ""),
        ({"ready": False, "serving": True, "terminating": True}, "ST"),
        ({"ready": True, "serving": False, "terminating": True}, "RT"),
    ],
)
def test_conditions_are_taken_literally(conditions: Object | None, expected: str) -> None:
    one = slice_of("web", endpoint("10.42.0.9", conditions=conditions))
    assert told(world(service(), one)) == {"10.42.0.9:80": expected}


def test_a_slice_without_pods_or_selector() -> None:
    hints = {"forZones": [{"name": "z"}], "forNodes": [{"name": "a"}]}
    entry = endpoint(
        "10.42.0.009", nodeName="a", targetRef={"kind": "Pod", "name": "p"}, hints=hints
    )
    built = world(NODES, service(selector=None), slice_of("web", entry, endpoint("10.42.0.10")))
    name = ServicePortName("default", "web", "", "TCP")
    first, second = built.cluster.endpoints[name]
    assert str(first) == "10.42.0.10:80"
    assert (first.pod, first.node) == ("", None)
    assert (str(second), second.pod, second.node) == ("10.42.0.9:80", "p", "a")
    assert (second.zone_hints, second.node_hints) == (frozenset("z"), frozenset("a"))


def test_ports_match_by_name_and_protocol_never_by_number() -> None:
    ports = [{"name": "x", "port": 80}, {"name": "y", "port": 81}]
    slice_ports = [
        {"name": "y", "port": 8081},
        {"name": "x", "port": 9, "protocol": "UDP"},
        {"name": "x", "port": None},
        {"port": 7},
    ]
    given = slice_of("web", endpoint("10.42.0.9"), ports=slice_ports)
    built = world(service(ports=ports), given)
    assert told(built, "y") == {"10.42.0.9:8081": "RS"}
    assert told(built, "x") == {}
    assert told(built, "") == {"10.42.0.9:7": "RS"}


def test_slices_that_kube_proxy_does_not_see() -> None:
    def labelled(labels: dict[str, str], **fields: Any) -> Object:
        value = slice_of("web", endpoint("10.42.0.9"), **fields)
        return {**value, "metadata": {"name": "x", "labels": labels}}

    mine = {"kubernetes.io/service-name": "web"}
    headless = labelled({**mine, "service.kubernetes.io/headless": ""})
    assert told(world(service(selector=None), headless)) == {}
    assert told(world(service(selector=None), labelled(mine, addressType="FQDN"))) == {}
    orphan = world(service(selector=None), labelled({}))
    assert told(orphan) == {}
    assert orphan.notes[-1] == (
        "EndpointSlice default/x: ignored, it has no label kubernetes.io/service-name"
    )


def test_duplicates_the_last_wins_unless_it_terminates() -> None:
    ready, leaving = endpoint("10.42.0.9"), endpoint("10.42.0.9", conditions={"terminating": True})
    unready = endpoint("10.42.0.9", conditions={"ready": False})
    assert told(world(service(), slice_of("web", ready, leaving))) == {"10.42.0.9:80": "RS"}
    assert told(world(service(), slice_of("web", leaving, unready))) == {"10.42.0.9:80": "S"}


def test_only_the_first_address_counts_and_it_must_be_of_the_family() -> None:
    entry = {"addresses": ["10.42.0.9", "10.42.0.10"]}
    assert told(world(service(), slice_of("web", entry, {"addresses": []}))) == {
        "10.42.0.9:80": "RS"
    }
    assert refusals(slice_of("web", endpoint("fd00::1"))) == [
        ("endpoints[0].addresses[0]", 'Invalid value: "fd00::1": must be an IPv4 address')
    ]


def test_a_slice_wins_over_the_selector_even_an_empty_one() -> None:
    assert told(world(service(), deployment(), slice_of("web"))) == {}
    other = slice_of("web", endpoint("10.42.0.9"))
    other["metadata"]["namespace"] = "other"
    assert told(world(service(), deployment(), other)) == {"10.42.0.2:80": "RS"}


UNREADY: Object = {
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
}
LEAVING: Object = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("fields", "spec", "expected"),
    [
        ({}, {}, "RS"),
        (
            UNREADY,
            {},
            "",
        ),
        (LEAVING, {}, "ST"),
        (
            UNREADY,
            {"publishNotReadyAddresses": True},
            "R",
        ),
        (
            LEAVING,
            {"publishNotReadyAddresses": True},
            "RST",
        ),
        ({}, {"trafficDistribution": "PreferClose"}, "RSz"),
        ({}, {"trafficDistribution": "PreferSameZone"}, "RSz"),
        ({}, {"trafficDistribution": "PreferSameNode"}, "RSzn"),
        (
            LEAVING,
            {"trafficDistribution": "PreferSameNode"},
            "ST",
        ),
    ],
)
def test_derived_conditions_and_hints(fields: Object, spec: Object, expected: str) -> None:
    built = world(NODES, service(**spec), pod(spec={"nodeName": "a"}, **fields))
    assert told(built) == {"10.42.0.2:80": expected}


def test_a_node_without_a_zone_gives_no_zone_hint() -> None:
    spread = service(trafficDistribution="PreferSameNode")
    built = world(NODES, spread, pod(spec={"nodeName": "b"}))
    assert told(built) == {"10.42.1.2:80": "RSn"}


def test_topology_mode_auto_wins_and_is_not_guessed() -> None:
    value = service(trafficDistribution="PreferClose")
    value["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
    built = world(NODES, value, deployment())
    assert told(built) == {"10.42.0.2:80": "RS"}
    assert built.notes[-1].endswith(
        "topology-mode Auto needs the nodes' CPUs; no hints are derived"
    )


def test_named_target_ports_are_resolved_in_every_pod() -> None:
    def with_port(name: str, number: int, protocol: str = "TCP") -> Object:
        ports = [{"name": "http", "containerPort": number, "protocol": protocol}]
        return pod(name, spec={"containers": [container(ports=ports)], "nodeName": "gz1"})

    target = service(ports=[{"port": 80, "targetPort": "http"}])
    pods = [with_port("a", 8080), with_port("b", 8081), with_port("c", 53, "UDP"), pod("d")]
    assert list(told(world(target, *pods))) == ["10.42.0.2:8080", "10.42.0.3:8081"]


def test_pods_are_left_out() -> None:
    running = {"phase": "Running", "podIP": "10.42.0.9"}
    lost = pod(spec={"nodeName": "gone"}, status=running, metadata={"uid": "1"})
    assert told(world(service(), lost)) == {}
    assert told(world(service(publishNotReadyAddresses=True), lost)) == {"10.42.0.9:80": "RS"}
    assert told(world(service(), pod(status={"phase": "Succeeded"}))) == {}
    assert told(world(service(), pod(metadata={"labels": {"app": "x"}}))) == {}
    assert told(world(service(), pod(metadata={"namespace": "other"}))) == {}
    assert told(world(service(selector={}), pod())) == {}
    assert told(world(service(clusterIP="None"), pod())) == {}
    assert told(world(service(type="ExternalName", externalName="x.example"), pod())) == {}


def test_families_follow_the_service() -> None:
    nodes = lab(nodes=[{"name": "a", "addresses": ["192.168.1.1", "fd00::1"]}])
    assert list(told(world(nodes, service(), deployment()))) == ["10.42.0.2:80"]
    both = service(ipFamilyPolicy="PreferDualStack")
    assert list(told(world(nodes, both, deployment()))) == ["10.42.0.2:80", "[fd00:10:42::2]:80"]


def test_with_readiness_recomputes_what_follows_from_pods() -> None:
    before = world(service(), service("other", selector=None), deployment(replicas=2))
    first, second = before.cluster.pods
    after = with_readiness(before, {str(first): False, "default/none": False})
    assert told(after) == {"10.42.0.2:80": "", "10.42.1.2:80": "RS"}
    assert [p.ready for p in after.cluster.pods] == [False, True]
    assert with_readiness(after, {str(first): True, str(second): True}) == before
    given = world(service(), deployment(), slice_of("web", endpoint("10.42.0.2")))
    assert told(with_readiness(given, {str(given.cluster.pods[0]): False})) == {
        "10.42.0.2:80": "RS"
    }
