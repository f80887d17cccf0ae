"""The difference that an update makes is that of two tables, for whatever cluster and update."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondhop.model.cluster import Cluster, Ingress, Pod
from secondhop.model.difference import Change, Difference, fate_of
from secondhop.model.fate import Fate, Outcome
from secondhop.model.policy import (
    IngressRule,
    IPBlock,
    NetworkPolicy,
    PolicyPort,
)
from secondhop.model.version import KubeVersion
from secondhop.predict.balancers import BALANCERS
from secondhop.predict.matrix import Matrix, cells
from secondhop.predict.path import Paths
from secondhop.predict.whatif import Situation, changes, difference

from .build import GZ1, LB_IP, XJP1, cluster, endpoint, host_endpoint
from .strategies import IP_MODES, POLICIES, RANGES, clusters

UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
        "external_traffic_policy": POLICIES,
        "internal_traffic_policy": POLICIES,
        "external_ips": st.sampled_from([(), (ip_address("203.0.113.20"),)]),
        "ingress": IP_MODES.map(lambda mode: (Ingress(ip_address(LB_IP), mode),)),
        "source_ranges": RANGES.map(lambda ranges: tuple(map(ip_network, ranges))),
        "health_check_node_port": st.sampled_from([0, 32001]),
        "affinity_timeout": st.sampled_from([None, 10800]),
    },
)


def update(there: Cluster, fields: dict[str, Any]) -> tuple[Situation, Situation]:
    (web,) = there.services
    changed = replace(web, **fields)
    return Situation(there, web), Situation(replace(there, services=(changed,)), changed)


def told(outcome: Outcome | None) -> object:
    return outcome and (outcome.fate, outcome.client_ip, outcome.backends, outcome.http)


def table(there: Cluster) -> dict[Any, Outcome]:
    return {(c.flow.source, c.flow.destination, c.flow.via): c.outcome for c in cells(there)}


@given(clusters(), UPDATES)
@settings(max_examples=300)
def test_the_difference_is_that_of_two_tables(there: Cluster, fields: dict[str, Any]) -> None:
    before, after = update(there, fields)
    old, new = table(before.cluster), table(after.cluster)
    expected = {k for k in [*old, *new] if told(old.get(k)) != told(new.get(k))}
    found = list(changes(before, after))
    named = Counter(
        (source, change.destination, via)
        for change in found
        for source in change.sources
        for via in change.vias
    )
    assert named == Counter(expected)
    for change in found:
        first = (change.sources[0], change.destination, change.vias[0])
        assert (change.before, change.after) == (old.get(first), new.get(first))
        for source in change.sources:
            for via in change.vias:
                key = (source, change.destination, via)
                assert fate_of(old.get(key)) == fate_of(change.before)
                assert fate_of(new.get(key)) == fate_of(change.after)


@given(clusters(), st.sampled_from(sorted(BALANCERS)))
def test_an_update_of_nothing_changes_nothing(there: Cluster, balancer: str) -> None:
    before, after = update(there, {})
    found = difference(before, after, (), balancer)
    assert found.is_empty
    assert not found.advice or found.shares_after == found.shares_before


@given(clusters(), UPDATES)
def test_the_worst_comes_first(there: Cluster, fields: dict[str, Any]) -> None:
    found = difference(*update(there, fields), (), "every-node")
    ranks = [badness(change) for change in found.changes]
    assert ranks == sorted(ranks)


def badness(change: Change) -> int:
    """Silence, other losses, what is served before and after, and what is won."""
    before, after = fate_of(change.before), fate_of(change.after)
    if before is Fate.DELIVERED and after is not Fate.DELIVERED:
        return 0 if after is Fate.DROPPED else 1
    if after is not Fate.DELIVERED:
        return 2
    return 3 if before is Fate.DELIVERED else 4


FLIP: dict[str, Any] = {"external_traffic_policy": "Local"}
LB: dict[str, Any] = {"type": "LoadBalancer", "ingress": (Ingress(ip_address(LB_IP)),)}


def flipped(there: Cluster, balancer: str = "every-node", **fields: Any) -> Difference:
    return difference(*update(there, FLIP | fields), ("x=y",), balancer)


def test_nodes_go_dark_and_some_of_them_come_back() -> None:
    found = flipped(cluster(endpoint(XJP1)))
    assert found.entries(Fate.DELIVERED, Fate.DROPPED) == ("gz1", "sha1")
    back = difference(
        *update(cluster(endpoint(XJP1), **FLIP), {"external_traffic_policy": "Cluster"}),
        (),
        "every-node",
    )
    assert back.entries(Fate.DROPPED, Fate.DELIVERED) == ("gz1", "sha1")
    assert not back.advice


def test_entries_that_open_and_close_are_told_apart() -> None:
    found = difference(
        *update(cluster(endpoint(XJP1)), {"external_ips": (ip_address("203.0.113.20"),)}),
        (),
        "every-node",
    )
    assert set(found.entries(None, Fate.DELIVERED)) == {"gz1", "xjp1", "sha1"}
    assert not found.entries(Fate.DELIVERED, None)


@pytest.mark.parametrize(
    ("there", "balancer", "fields", "advised"),
    [
        (cluster(endpoint(XJP1)), "every-node", {}, ["a ready pod on every node", "each node's"]),
        (cluster(endpoint(XJP1)), "healthy-nodes", {}, ["a ready pod on every node"]),
        (cluster(endpoint(XJP1)), "single-node", {}, ["a ready pod on every", "give up the addr"]),
        (
            cluster(endpoint(XJP1), **LB),
            "every-node",
            {"health_check_node_port": 32000},
            ["a ready pod on", "heeds the healthCheckNodePort", "of every node (32000 here)"],
        ),
        (
            cluster(endpoint(XJP1), endpoint(GZ1, 2), endpoint(GZ1, 3), nodes=(GZ1, XJP1)),
            "every-node",
            {},
            ["the same number of pods"],
        ),
        (
            cluster(endpoint(XJP1), endpoint(GZ1), nodes=(GZ1, XJP1)),
            "snat-proxy",
            {},
            ["PROXY protocol"],
        ),
        (cluster(endpoint(XJP1), endpoint(GZ1), nodes=(GZ1, XJP1)), "every-node", {}, []),
    ],
)
def test_the_advice_fits(
    there: Cluster, balancer: str, fields: dict[str, Any], advised: list[str]
) -> None:
    found = flipped(there, balancer, **fields).advice
    assert len(found) == len(advised), found
    assert all(part in said for part, said in zip(advised, found, strict=True)), found


def test_a_health_check_appears_on_every_node() -> None:
    found = flipped(cluster(endpoint(XJP1), **LB), health_check_node_port=32000)
    checks = [c for c in found.changes if c.destination.kind == "healthCheckNodePort"]
    statuses = {c.destination.node: c.after.http.status for c in checks if c.after and c.after.http}
    assert statuses == {"gz1": 503, "xjp1": 200, "sha1": 503}
    assert all(c.before is None for c in checks)


def block(cidr: str, *excluded: str, ports: tuple[PolicyPort, ...] = ()) -> IngressRule:
    return IngressRule((IPBlock(ip_network(cidr), tuple(map(ip_network, excluded))),), ports)


def policy(*rules: IngressRule, name: str = "p", **labels: str) -> NetworkPolicy:
    return NetworkPolicy("default", name, {"matchLabels": labels}, rules)


LAN, PODS = block("192.168.22.0/24"), block("10.42.0.0/16")
ADMISSIONS: list[tuple[tuple[NetworkPolicy, ...], list[tuple[str, bool]]]] = [
    ((policy(LAN),), [("default/p", False)]),
    ((policy(PODS),), [("default/p", True)]),
    ((policy(LAN, PODS),), []),
    ((policy(block("0.0.0.0/0")),), []),
    ((policy(IngressRule(everybody=True)),), []),
    ((policy(),), []),
    ((policy(block("0.0.0.0/0", "192.168.22.2/32")),), [("default/p", True)]),
    ((policy(PODS, app="other"),), []),
    ((policy(PODS, app="web"),), [("default/p", True)]),
    ((policy(block("10.42.0.0/16", ports=(PolicyPort("TCP", 80),))),), [("default/p", True)]),
    ((policy(block("10.42.0.0/16", ports=(PolicyPort("TCP", 79, 81),))),), [("default/p", True)]),
    ((policy(block("10.42.0.0/16", ports=(PolicyPort("UDP", 80),))),), []),
    ((policy(block("10.42.0.0/16", ports=(PolicyPort("TCP", 8080),))),), []),
    (
        (policy(PODS, name="a"), policy(LAN, name="b")),
        [("default/a", False), ("default/b", False)],
    ),
]


@pytest.mark.parametrize(("policies", "expected"), ADMISSIONS)
def test_policies_that_judge_by_another_address(
    policies: tuple[NetworkPolicy, ...], expected: list[tuple[str, bool]]
) -> None:
    """The pod of xjp1 saw 10.42.x.x under Cluster and sees the client under Local."""
    one = endpoint(XJP1)
    pod = Pod("default", one.pod, "xjp1", (one.address,), {"app": "web"})
    there = replace(cluster(one), pods=(pod,))
    before, after = update(there, FLIP)
    found = difference(before, after, (), "every-node", policies)
    assert [(a.policy, a.cut_off) for a in found.admissions] == expected
    assert [said for said in found.advice if "NetworkPolicy" in said] == [
        f"let NetworkPolicy {name} admit 192.168.22.2 first" for name, cut in expected if cut
    ]


def test_a_host_network_pod_sees_the_client_either_way() -> None:
    found = flipped(cluster(host_endpoint(GZ1), nodes=(GZ1,)))
    assert not [change for change in found.changes if change.from_outside]


def test_the_release_matters() -> None:
    there = cluster(endpoint(XJP1), kube_version=KubeVersion(1, 21))
    before, after = update(there, {"internal_traffic_policy": "Local"})
    assert list(changes(before, after)) == []
    newest = replace(there, kube_version=KubeVersion(1, 22))
    assert list(changes(*update(newest, {"internal_traffic_policy": "Local"})))


def test_rows_are_exact_to_the_letter() -> None:
    """`exact` is what `cells` yields: the difference leans on it."""
    there = cluster(endpoint(XJP1), **FLIP)
    matrix = Matrix(Paths(there))
    told_by_rows = [
        matrix.exact(row, source, via)
        for row in matrix.rows(there.services)
        for source in row.sources
        for via in row.vias
    ]
    assert told_by_rows == [cell.outcome for cell in cells(there)]
