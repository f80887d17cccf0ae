"""Pods: given, derived, placed, addressed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from secondhop.manifests import World, build, read_text
from secondhop.manifests.pods import letters
from secondhop.model.cluster import Container, ContainerPort, Pod, Probe

from .helpers import (
    Object,
    container,
    deployment,
    lab,
    node,
    pod,
    refusals,
    service,
    world,
)

THREE = lab(
    nodes=[
        {"name": "a", "address": "192.168.1.1", "zone": "z"},
        {"name": "b", "address": "192.168.2.1"},
        {"name": "c", "address": "192.168.3.1", "podCIDR": "10.42.9.0/24"},
    ]
)


def places(built: World) -> list[tuple[str | None, str]]:
    return [(p.node, ",".join(map(str, p.addresses))) for p in built.cluster.pods]


def daemon_set(**spec: Any) -> Object:
    value = {**deployment("agent", **spec), "kind": "DaemonSet"}
    del value["spec"]["replicas"]
    return value


def one(*objects: Object) -> Pod:
    """The only pod of a World."""
    (found,) = world(*objects).cluster.pods
    return found


def test_names_are_spelt_as_kubernetes_spells_them_and_never_change() -> None:
    names = [p.name for p in world(deployment(replicas=3)).cluster.pods]
    alphabet = "[bcdfghjklmnpqrstvwxz2456789]"
    assert all(re.fullmatch(f"web-{alphabet}{{10}}-{alphabet}{{5}}", name) for name in names)
    assert len(set(names)) == 3
    assert [p.name for p in world(deployment(replicas=2)).cluster.pods] == names[:2]
    other = deployment(containers=[container(args=["--name", "x"])])
    assert one(other).name.split("-")[1] != names[0].split("-")[1]
    replica_set = {**deployment(), "kind": "ReplicaSet"}
    assert re.fullmatch(f"web-{alphabet}{{5}}", one(replica_set).name)
    assert letters("x", 5) == letters("x", 5)


def test_derived_pods_carry_the_template() -> None:
    probe = {"httpGet": {"port": "http", "path": "/health"}, "timeoutSeconds": 3}
    whoami = container(
        args=["--port", "8080"],
        env=[
            {"name": "A", "value": "b"},
            {"name": "N"},
            {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        ports=[{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
        readinessProbe=probe,
    )
    sidecar = {"name": "proxy", "image": "p", "restartPolicy": "Always"}
    init = {"name": "setup", "image": "s"}
    found = one(deployment(containers=[whoami], initContainers=[init, sidecar]))
    assert found.labels["app"] == "web"
    assert found.labels["pod-template-hash"] == found.name.split("-")[1]
    assert found.containers == (
        Container("proxy", "p"),
        Container(
            name="whoami",
            image="traefik/whoami",
            args=("--port", "8080"),
            env=(("A", "b"), ("N", "")),
            ports=(ContainerPort(8080, "http"), ContainerPort(53, "", "UDP")),
            readiness=Probe(8080, "/health", 3.0),
        ),
    )


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ({"tcpSocket": {"port": 80}}, Probe(80)),
        ({"httpGet": {"port": 80}}, Probe(80, "/")),
        ({"exec": {"command": ["true"]}}, None),
        ({"grpc": {"port": 80}}, None),
        ({}, None),
    ],
)
def test_readiness_probes(probe: Object, expected: Probe | None) -> None:
    found = one(deployment(containers=[container(readinessProbe=probe)]))
    assert found.containers[0].readiness == expected


def test_replicas_go_round_the_nodes_in_order() -> None:
    assert places(world(THREE, deployment(replicas=4))) == [
        ("a", "10.42.0.2"),
        ("b", "10.42.1.2"),
        ("c", "10.42.9.2"),
        ("a", "10.42.0.3"),
    ]


@pytest.mark.parametrize(
    ("placement", "nodes"),
    [
        ("c", "cccc"),
        (["a", "a", "c"], "aaca"),
        (["b"], "bbbb"),
    ],
)
def test_placement_is_cycled_one_entry_a_replica(placement: str | list[str], nodes: str) -> None:
    wish = {**THREE, "placement": {"web": placement}}
    assert [where for where, _ in places(world(wish, deployment(replicas=4)))] == list(nodes)


def test_placement_is_a_wish_and_a_selector_is_not() -> None:
    wish = {**THREE, "placement": {"web": "c", "web-1": "b"}}
    bound = deployment(replicas=2, nodeSelector={"topology.kubernetes.io/zone": "z"})
    assert [where for where, _ in places(world(wish, bound))] == ["a", "a"]
    assert one(wish, pod()).node == "b"
    assert one(wish, deployment(nodeSelector={"kubernetes.io/hostname": "b"})).node == "b"
    assert one(wish, deployment(nodeName="a")).node == "a"


def test_a_pod_that_fits_nowhere_is_pending_and_said_so() -> None:
    built = world(THREE, service(), deployment(nodeSelector={"disk": "ssd"}))
    assert places(built) == [(None, "")]
    assert built.notes[-1].endswith(
        "is pending: no node fits its nodeSelector, affinity and tolerations"
    )
    assert [e for found in built.cluster.endpoints.values() for e in found] == []


def test_an_unknown_node_name() -> None:
    assert refusals(deployment(nodeName="gz2")) == [
        ("spec.template.spec.nodeName", 'there is no node "gz2"')
    ]


def test_taints_repel_and_tolerations_forgive() -> None:
    taint = {"key": "role", "value": "lb", "effect": "NoSchedule"}
    nodes = [
        node("n1", "10.1.0.1", taints=[taint]),
        node("n2", "10.1.0.2", unschedulable=True),
        node("n3", "10.1.0.3", taints=[{"key": "soft", "effect": "PreferNoSchedule"}]),
        node("n4", "10.1.0.4", labels={"disk": "ssd"}),
    ]

    def where(value: Object) -> list[str | None]:
        return [p.node for p in world(*nodes, value).cluster.pods]

    equal = {"key": "role", "operator": "Equal", "value": "lb", "effect": "NoSchedule"}
    assert where(deployment(replicas=2)) == ["n3", "n4"]
    assert where(deployment(replicas=3, tolerations=[equal])) == ["n1", "n3", "n4"]
    assert where(deployment(replicas=2, tolerations=[{**equal, "value": "x"}])) == ["n3", "n4"]
    assert where(deployment(replicas=4, tolerations=[{"operator": "Exists"}])) == [
        "n1",
        "n2",
        "n3",
        "n4",
    ]
    assert where(deployment(nodeSelector={"disk": "ssd"})) == ["n4"]
    assert where(daemon_set()) == ["n2", "n3", "n4"]


def test_a_daemon_set_has_one_pod_a_node() -> None:
    found = world(THREE, daemon_set(hostNetwork=True)).cluster.pods
    assert [p.node for p in found] == ["a", "b", "c"]
    assert len({p.name for p in found}) == 3
    assert [str(p.addresses[0]) for p in found] == ["192.168.1.1", "192.168.2.1", "192.168.3.1"]
    assert all(p.host_network for p in found)


def test_addresses_skip_those_taken_by_given_pods() -> None:
    status = {"phase": "Running", "podIP": "10.42.0.3"}
    given = pod("fixed", spec={"nodeName": "a"}, metadata={"labels": {}}, status=status)
    wish = {**THREE, "placement": {"web": "a"}}
    assert places(world(wish, deployment(replicas=3), given)) == [
        ("a", "10.42.0.2"),
        ("a", "10.42.0.4"),
        ("a", "10.42.0.5"),
        ("a", "10.42.0.3"),
    ]


def test_a_range_without_room() -> None:
    small = lab(nodes=[{"name": "a", "address": "192.168.1.1", "podCIDR": "10.42.0.0/29"}])
    assert places(world(small, deployment(replicas=5)))[-1] == ("a", "10.42.0.6")
    assert refusals(small, deployment(replicas=6)) == [
        ("spec.template.spec", "10.42.0.0/29 of node a has no address left for another pod")
    ]


def test_both_families() -> None:
    dual = lab(nodes=[{"name": "a", "addresses": ["192.168.1.1", "fd00::1"]}])
    assert places(world(dual, deployment())) == [("a", "10.42.0.2,fd00:10:42::2")]
    assert places(world(dual, deployment(hostNetwork=True))) == [("a", "192.168.1.1,fd00::1")]


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"phase": "Running"}, True),
        ({"phase": "Pending"}, False),
        ({"phase": "Unknown"}, False),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}, False),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "Unknown"}]}, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"phase": "Running", "conditions": [{"type": "Initialized", "status": "False"}]}, True),
        ({}, True),
    ],
)
def test_ready(status: Object, ready: bool) -> None:
    assert one(pod(status=status)).ready is ready


def test_given_pods_are_as_they_are() -> None:
    status = {
        "phase": "Running",
        "podIP": "10.42.0.9",
        "podIPs": [{"ip": "10.42.0.9"}, {"ip": "fd00:10:42::9"}],
    }
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z", "uid": "1", "namespace": "shop"}
    found = one(pod(spec={"nodeName": "elsewhere"}, status=status, metadata=leaving))
    assert (found.namespace, found.node, found.terminating) == ("shop", "elsewhere", True)
    assert [str(ip) for ip in found.addresses] == ["10.42.0.9", "fd00:10:42::9"]
    assert places(world(pod(status={"phase": "Pending"}))) == [(None, "")]
    assert (
        places(world(pod(status={"phase": "Succeeded"}), pod("b", status={"phase": "Failed"})))
        == []
    )
    assert places(world(pod())) == [("gz1", "10.42.0.2")]
    assert refusals(pod(status={"phase": "Running", "podIP": "x"}))[0][0] == "status.podIP"


def test_a_running_pod_without_an_address_gets_one() -> None:
    assert places(world(pod(spec={"nodeName": "xjp1"}, status={"phase": "Running"}))) == [
        ("xjp1", "10.42.1.2")
    ]


def test_workloads_whose_pods_are_given_derive_none() -> None:
    assert [p.name for p in world(deployment(replicas=3), pod()).cluster.pods] == ["web-1"]
    elsewhere = pod(metadata={"namespace": "other"})
    assert len(world(deployment(replicas=3), elsewhere).cluster.pods) == 4
    owner = {"ownerReferences": [{"kind": "Deployment", "name": "web"}], "name": "web-abc"}
    replica_set = {**deployment(), "kind": "ReplicaSet", "metadata": owner}
    assert len(world(deployment(replicas=2), replica_set).cluster.pods) == 2
    assert len(world(replica_set).cluster.pods) == 1


@pytest.mark.parametrize(
    ("replicas", "message"),
    [
        (-1, "Invalid value: -1: must be greater than or equal to 0"),
        (10**9, "Invalid value: 1000000000: more than the 10000 that are derived here"),
    ],
)
def test_replicas_out_of_reason(replicas: int, message: str) -> None:
    assert refusals(deployment(replicas=replicas)) == [("spec.replicas", message)]
    assert world(deployment(replicas=0)).cluster.pods == ()


def test_what_is_not_looked_into_may_be_anything() -> None:
    odd = json.dumps(deployment()).replace(
        '"containers"', '"volumes": [{1: x, a: y}], "containers"'
    )
    assert len(build(read_text(odd, "f")).cluster.pods) == 1


def test_ports_of_containers() -> None:
    base = "spec.containers[0]"
    assert refusals(pod(spec={"containers": [container(ports=[{"containerPort": 0}])]})) == [
        (
            f"{base}.ports[0].containerPort",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        )
    ]
    probe = {"httpGet": {"port": "web"}}
    assert refusals(pod(spec={"containers": [container(readinessProbe=probe)]})) == [
        (f"{base}.readinessProbe.httpGet.port", 'no port of this container is named "web"')
    ]


def test_a_stateful_sets_pods_are_counted() -> None:
    stateful = {**deployment(replicas=2), "kind": "StatefulSet"}
    stateful["spec"]["serviceName"] = "web"
    built = built_of(stateful, service())
    assert [p.name for p in built.cluster.pods] == ["web-0", "web-1"]
    assert len(next(iter(built.cluster.endpoints.values()))) == 2


def built_of(*objects: Object) -> World:
    return build(read_text("\n---\n".join(map(json.dumps, objects)), "f"))


def test_a_selector_that_no_pod_has_is_said() -> None:
    notes = built_of(deployment(), service(selector={"app": "wbe"})).notes
    assert any(
        note.startswith("Service default/web: none of 1 pods (their labels: app=web, ")
        and note.endswith(" has the labels of its selector, app=wbe")
        for note in notes
    )
    notes = built_of(service()).notes
    told = "Service default/web: the input has no pod with the labels of its selector, app=web"
    assert told in notes


def test_a_wish_for_nobody_is_said() -> None:
    lab = {"apiVersion": "secondhop/v1", "kind": "Lab", "placement": {"wbe": "gz1"}}
    notes = built_of(deployment(), service(), lab).notes
    assert "Lab placement.wbe: no such workload in the input. Known here: web." in notes
    notes = built_of(lab).notes
    assert "Lab placement.wbe: no such workload in the input. Known here: none." in notes
