"""The table of `explain --all`: which flows, and that folding changes no answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from secondhop.model.cluster import Cluster, Ingress, Pod
from secondhop.predict import predict
from secondhop.predict.matrix import Cell, cells, rows

from .build import CLUSTER_IP, EXTERNAL_IP, GZ1, LAN, LB_IP, XJP1, cluster, endpoint, host_endpoint

FULL: dict[str, Any] = {
    "type": "LoadBalancer",
    "external_traffic_policy": "Local",
    "health_check_node_port": 32000,
    "external_ips": (ip_address(EXTERNAL_IP),),
    "ingress": (Ingress(ip_address(LB_IP)), Ingress(ip_address("203.0.113.11"), "Proxy")),
}
V6: dict[str, Any] = {"cluster_ips": (ip_address(CLUSTER_IP), ip_address("fd00:10:43::10"))}


def table(there: Cluster) -> list[Cell]:
    return list(cells(there))


def identity(cell: Cell) -> tuple[object, ...]:
    flow, to = cell.flow, cell.flow.destination
    sender = (flow.source.kind, flow.source.node, flow.source.ip.version)
    return sender, to.kind, to.address, to.port, to.protocol, flow.via


@pytest.mark.parametrize("families", [{}, V6])
def test_one_cell_for_each_flow(families: dict[str, Any]) -> None:
    """3 nodes: 1 client, 3 pods, 3 nodes as sources in each family."""
    found = table(cluster(endpoint(XJP1), **FULL, **families))
    twice = 2 if families else 1
    assert max(Counter(map(identity, found)).values()) == 1
    assert Counter(cell.flow.destination.kind for cell in found) == {
        "nodePort": 7 * 3 * twice,
        "loadBalancerIP": 7 * 2 * 3,
        "externalIP": 7 * 3,
        "clusterIP": 7 * twice,
        "healthCheckNodePort": 3 * twice,
    }


def test_vias_and_nodes_are_named_where_they_matter() -> None:
    for cell in table(cluster(endpoint(XJP1), **FULL)):
        to = cell.flow.destination
        brought = to.kind in ("loadBalancerIP", "externalIP")
        assert (cell.flow.via is not None) == brought
        assert (to.node is not None) == (to.kind in ("nodePort", "healthCheckNodePort"))


def test_health_check_cells_carry_the_answer() -> None:
    found = table(cluster(endpoint(XJP1), **FULL))
    answers = {
        c.flow.destination.node: c.outcome.http
        for c in found
        if c.flow.destination.kind == "healthCheckNodePort"
    }
    assert answers == {"gz1": (503, 0), "xjp1": (200, 1), "sha1": (503, 0)}


def pod_addresses(there: Cluster) -> list[str]:
    sources = {c.flow.source for c in table(there) if c.flow.source.kind == "pod"}
    return sorted(str(source.ip) for source in sources)


def test_source_pods_have_address_250_or_the_next_free_one_below() -> None:
    taken = (endpoint(GZ1, 250), endpoint(GZ1, 249))
    there = replace(
        cluster(*taken, **V6), pods=(Pod("default", "idle", "gz1", (ip_address("10.42.0.248"),)),)
    )
    assert pod_addresses(there) == [
        "10.42.0.247", "10.42.1.250", "10.42.2.250",
        "fd00:10:42:1::fa", "fd00:10:42:2::fa", "fd00:10:42::fa",
    ]  # fmt: skip


def test_small_pod_cidrs_have_source_pods_too() -> None:
    small = replace(GZ1, pod_cidrs=(ip_network("10.42.0.0/29"),))
    none_free = replace(XJP1, pod_cidrs=(ip_network("10.42.1.0/31"),))
    assert pod_addresses(cluster(nodes=(small, none_free))) == ["10.42.0.6"]


def test_a_cluster_without_client_or_nodes() -> None:
    there = cluster(endpoint(XJP1), **FULL)
    inside = table(replace(there, client=()))
    assert {cell.flow.source.kind for cell in inside} == {"pod", "node"}
    bare = table(replace(there, nodes=()))
    assert [c.flow.destination.kind for c in bare] == ["clusterIP"]


def test_nodes_without_an_address_of_the_family_have_no_node_port_there() -> None:
    found = table(cluster(nodes=LAN, **V6))
    dialled = {c.flow.destination.address.version for c in found if c.flow.destination.node}
    assert dialled == {4}


def test_an_address_that_two_services_claim_is_told_once() -> None:
    there = cluster(endpoint(XJP1), **FULL)
    first = there.services[0]
    other = replace(first, name="other", cluster_ips=(ip_address("10.43.0.11"),))
    found = table(replace(there, services=(first, other)))
    assert max(Counter(map(identity, found)).values()) == 1
    assert {c.flow.destination.kind for c in found if c.service is other} == {"clusterIP"}


def test_only_the_services_asked_for() -> None:
    there = cluster(endpoint(XJP1))
    other = replace(there.services[0], name="other", cluster_ips=(ip_address("10.43.0.11"),))
    both = replace(there, services=(there.services[0], other))
    assert {cell.service for cell in cells(both, (other,))} == {other}


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_rows_fold_what_nothing_tells_apart(policy: str) -> None:
    """To gz1's node port under Cluster everybody has one fate; under Local gz1 itself and its
    pods are told apart from all others."""
    there = cluster(endpoint(XJP1), external_traffic_policy=policy)
    to_gz1 = [r for r in rows(there) if r.destination.node == "gz1"]
    assert [len(row.sources) for row in to_gz1] == ([7] if policy == "Cluster" else [5, 1, 1])
    assert not any(row.varies for row in to_gz1)


def test_folded_outcomes_that_vary_are_exact_in_the_cells() -> None:
    there = cluster(endpoint(XJP1), external_traffic_policy="Local")
    folded = [r for r in rows(there) if r.destination.node == "xjp1" and r.varies]
    assert len(folded) == 1
    to_xjp1 = [c for c in cells(there) if c.flow.destination.node == "xjp1"]
    assert len({c.outcome.backends[0].source_ip for c in to_xjp1}) == 5


@pytest.mark.parametrize("there", [cluster(host_endpoint(GZ1), endpoint(XJP1), **FULL, **V6)])
def test_cells_say_what_predict_says(there: Cluster) -> None:
    for cell in cells(there):
        assert cell.outcome == replace(predict(there, cell.flow), steps=())
