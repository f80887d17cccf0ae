"""Shares behind balancers: a table of who sends where, and that nothing is lost in counting."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.model.cluster import Cluster, Endpoint, Ingress, Node
from secondhop.model.share import Share
from secondhop.model.version import KubeVersion
from secondhop.predict.balancers import BALANCERS
from secondhop.predict.share import shares

from .build import (
    GZ1,
    LB_IP,
    NODES,
    SHA1,
    XJP1,
    cluster,
    endpoint,
    host_endpoint,
    leaving,
    unready,
)
from .strategies import clusters

UNEVEN = [endpoint(GZ1, 2), endpoint(GZ1, 3), endpoint(XJP1, 2)]
"""Two pods here, one there, none on sha1: 25, 25 and 50 % when nodes are counted (MetalLB)."""
LB: dict[str, Any] = {
    "type": "LoadBalancer",
    "ingress": (Ingress(ip_address(LB_IP)),),
    "health_check_node_port": 32000,
}
LOCAL: dict[str, Any] = {**LB, "external_traffic_policy": "Local"}
THIRDS = "web-gz1-2 33 web-gz1-3 33 web-xjp1-2 33"
HALVES = "web-gz1-2 25 web-gz1-3 25 web-xjp1-2 50"


def told(share: Share) -> str:
    """`pod percent …`, then what is lost, and what is not sent at all."""
    parts = [f"{pod} {value:.0%}" for pod, value in sorted(share.pods.items())]
    parts += [f"{fate} {value:.0%}" for fate, value in share.lost.items()]
    if share.unsent:
        parts.append(f"unsent {share.unsent:.0%}")
    return " ".join(parts).replace("%", "")


def behind(name: str, there: Cluster) -> list[str]:
    found = shares(there, there.services[0], BALANCERS[name])
    return [f"{s.holder}: {told(s)}" if s.holder else told(s) for s in found if s.family == 4]


@pytest.mark.parametrize(
    ("balancer", "endpoints", "service", "expected"),
    [
        *((name, UNEVEN, LB, [THIRDS]) for name, one in BALANCERS.items() if not one.one_node),
        ("every-node", UNEVEN, LOCAL, ["web-gz1-2 17 web-gz1-3 17 web-xjp1-2 33 dropped 33"]),
        ("healthy-nodes", UNEVEN, LOCAL, [HALVES]),
        ("weighted", UNEVEN, LOCAL, [THIRDS]),
        ("snat-proxy", UNEVEN, LOCAL, [HALVES]),
        ("metallb-bgp", UNEVEN, LOCAL, [HALVES]),
        ("k3s-servicelb", UNEVEN, LOCAL, [HALVES]),
        ("cloud-passthrough", UNEVEN, LOCAL, [HALVES]),
        ("cloud-proxy", UNEVEN, LOCAL, [HALVES]),
        (
            "single-node",
            UNEVEN,
            LOCAL,
            [
                "gz1: web-gz1-2 50 web-gz1-3 50",
                "xjp1: web-xjp1-2 100",
                "sha1: dropped 100",
            ],
        ),
        (
            "metallb-l2",
            UNEVEN,
            LOCAL,
            ["gz1: web-gz1-2 50 web-gz1-3 50", "xjp1: web-xjp1-2 100"],
        ),
        ("metallb-l2", UNEVEN, LB, [f"{node.name}: {THIRDS}" for node in NODES]),
        # A terminating pod: the health check says 503 at once, MetalLB goes by serving (§6.3).
        ("every-node", [leaving(GZ1)], LOCAL, ["web-gz1-2 33 dropped 67"]),
        ("healthy-nodes", [leaving(GZ1)], LOCAL, ["unsent 100"]),
        ("metallb-bgp", [leaving(GZ1)], LOCAL, ["web-gz1-2 100"]),
        ("k3s-servicelb", [leaving(GZ1)], LOCAL, ["unsent 100"]),
        # Nobody at all.
        ("every-node", [unready(GZ1)], LB, ["rejected 100"]),
        ("healthy-nodes", [unready(GZ1)], LB, ["rejected 100"]),
        ("metallb-l2", [unready(GZ1)], LB, ["unsent 100"]),
        ("metallb-bgp", [unready(GZ1)], LB, ["unsent 100"]),
        # Type NodePort: no health check node port, so the check is of the port itself.
        ("every-node", UNEVEN, {}, [THIRDS]),
        (
            "healthy-nodes",
            UNEVEN,
            {"external_traffic_policy": "Local"},
            [HALVES],
        ),
        ("weighted", UNEVEN, {"external_traffic_policy": "Local"}, [HALVES]),
        ("metallb-l2", UNEVEN, {}, []),
        ("k3s-servicelb", UNEVEN, {}, []),
        ("cloud-passthrough", UNEVEN, {}, []),
        ("cloud-proxy", UNEVEN, {}, [THIRDS]),
        # Without node ports there is only the load balancer IP.
        ("every-node", UNEVEN, {**LB, "node_port": 0}, [THIRDS]),
        ("snat-proxy", UNEVEN, {**LB, "node_port": 0}, ["unsent 100"]),
        ("every-node", UNEVEN, {**LB, "node_port": 0, "ingress": ()}, []),
        # Source ranges guard the load balancer IP, not the node port.
        (
            "every-node",
            UNEVEN,
            {**LB, "source_ranges": (ip_network("198.51.100.0/24"),)},
            ["dropped 100"],
        ),
        (
            "cloud-proxy",
            UNEVEN,
            {**LB, "source_ranges": (ip_network("198.51.100.0/24"),)},
            [THIRDS],
        ),
    ],
)
def test_who_gets_what(
    balancer: str, endpoints: list[Endpoint], service: dict[str, Any], expected: list[str]
) -> None:
    assert behind(balancer, cluster(*endpoints, **service)) == expected


def marked(node: Node, **fields: bool) -> tuple[Node, ...]:
    return tuple(replace(n, **fields) if n == node else n for n in NODES)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(BALANCERS))
def test_excluded_nodes_get_nothing_where_the_label_is_heeded(name: str) -> None:
    there = cluster(*UNEVEN, nodes=marked(SHA1, excluded=True), **LB)
    entries = {n for s in shares(there, there.services[0], BALANCERS[name]) for n in s.entries}
    assert ("sha1" not in entries) == BALANCERS[name].heeds_exclusion


@pytest.mark.parametrize(("version", "entries"), [("1.29", 3), ("1.30", 2)])
def test_a_node_being_deleted_leaves_by_its_healthz(version: str, entries: int) -> None:
    release = KubeVersion(1, int(version[2:]))
    there = cluster(*UNEVEN, nodes=marked(SHA1, deleting=True), kube_version=release, **LB)
    (share,) = shares(there, there.services[0], BALANCERS["healthy-nodes"])
    assert len(share.entries) == entries


@pytest.mark.parametrize(("minor", "expected"), [(27, HALVES), (28, THIRDS)])
def test_nodes_weigh_the_same_before_the_header(minor: int, expected: str) -> None:
    there = cluster(*UNEVEN, kube_version=KubeVersion(1, minor), **LOCAL)
    assert behind("weighted", there) == [expected]


@pytest.mark.parametrize(
    ("balancer", "policy", "sources"),
    [
        ("every-node", "Cluster", ["10.42.0.0", "10.42.0.1", "10.42.1.0", "10.42.1.1"]),
        ("every-node", "Local", ["192.168.22.2"]),
        ("snat-proxy", "Local", ["the balancer's"]),
        ("snat-proxy", "Cluster", ["10.42.0.0", "10.42.0.1", "10.42.1.0", "10.42.1.1"]),
    ],
)
def test_what_pods_see(balancer: str, policy: str, sources: list[str]) -> None:
    nodes = (GZ1, XJP1)
    there = cluster(*UNEVEN, nodes=nodes, **LB, external_traffic_policy=policy)
    share, *_ = shares(there, there.services[0], BALANCERS[balancer])
    assert sorted(share.sources) == sources


def test_a_host_network_pod_sees_the_balancer_under_cluster() -> None:
    there = cluster(host_endpoint(GZ1), nodes=(GZ1,))
    share, *_ = shares(there, there.services[0], BALANCERS["snat-proxy"])
    assert share.sources == ("the balancer's",)


@given(clusters(), st.sampled_from(sorted(BALANCERS)))
def test_shares_and_losses_sum_to_one(there: Cluster, name: str) -> None:
    for share in shares(there, there.services[0], BALANCERS[name]):
        whole = sum(share.pods.values()) + sum(share.lost.values()) + share.unsent
        assert whole == pytest.approx(1)
        assert sum(share.entries.values()) == pytest.approx(1 - share.unsent)
        assert (share.holder is not None) <= BALANCERS[name].one_node


@given(clusters(policy="Cluster", hints=False, odd=False))
def test_under_cluster_shares_are_even_whatever_the_balancer(there: Cluster) -> None:
    """§5.1: eTP Cluster without hints gives 1/N."""
    for name in BALANCERS:
        for share in shares(there, there.services[0], BALANCERS[name]):
            if not share.lost:
                assert all(s == pytest.approx(1 / len(share.pods)) for s in share.pods.values())
