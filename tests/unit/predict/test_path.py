"""Whole ways: source addresses, egress, the way back, loops and martians (semantics §4, §13)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from secondhop.errors import UsageError
from secondhop.model.cluster import Cluster, Endpoint, Ingress, Pod, ProxyMode
from secondhop.model.flow import Destination, Flow, Source
from secondhop.predict import predict

from .build import (
    CLUSTER_IP,
    GZ1,
    LAN,
    LB_IP,
    NODE_PORT,
    SHA1,
    XJP1,
    client,
    cluster,
    endpoint,
    fates,
    flow,
    host,
    host_endpoint,
    pod,
)

AWAY = endpoint(XJP1)
LOCAL: dict[str, Any] = {"external_traffic_policy": "Local"}
OUTSIDE = client()
V6: dict[str, Any] = {"cluster_ips": (ip_address("fd00:10:43::10"),)}
PROXIED: dict[str, Any] = {
    "type": "LoadBalancer",
    "ingress": (Ingress(ip_address(LB_IP), "Proxy"), Ingress(ip_address("2001:db8::10"), "Proxy")),
}

MODES = pytest.mark.parametrize("mode", ["iptables", "nftables"])


@MODES
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (flow(pod(GZ1, 2), "127.0.0.1"), "127.0.0.1"),
        (flow(pod(GZ1, 2), "127.1.2.3"), "127.0.0.1"),
        (flow(pod(GZ1, 2), "10.42.0.2"), "10.42.0.2"),
        (flow(pod(GZ1, 2), "127.0.0.1", port=81), "closed"),
        (flow(pod(GZ1, 2), "10.42.0.2", port=81), "closed"),
        (flow(pod(GZ1, 2), "127.0.0.1", port=NODE_PORT), "closed"),
        (flow(pod(GZ1, 2), "127.0.0.1", protocol="UDP"), "rejected"),
        (flow(pod(GZ1, 3), "127.0.0.1"), "closed"),
        (flow(pod(GZ1, 2, 6), "::1"), "::1"),
        (flow(pod(GZ1, 2, 6), "fd00:10:42::2"), "fd00:10:42::2"),
    ],
)
def test_what_a_pod_sends_to_itself_stays_inside(
    mode: ProxyMode, sent: Flow, expected: str
) -> None:
    made = cluster(endpoint(GZ1), endpoint(GZ1, family=6), mode=mode, **V6)
    told = predict(made, sent)
    seen = [str(backend.source_ip) for backend in told.backends]
    assert (seen or [told.fate]) == [expected]
    assert [backend.hops for backend in told.backends] == [0] * len(seen)
    assert {step.node for step in told.steps} == {f"pod {sent.source.name}"}


@MODES
@pytest.mark.parametrize(
    ("policy", "sent", "expected"),
    [
        # §4.5 with the endpoint on xjp1 only
        ("Local", flow(pod(GZ1), GZ1), "10.42.0.250"),
        ("Local", flow(pod(GZ1), XJP1), "192.168.8.1"),
        ("Local", flow(pod(XJP1), GZ1), "dropped"),
        ("Cluster", flow(pod(GZ1), GZ1), "10.42.0.0"),
        ("Cluster", flow(pod(XJP1), XJP1), "10.42.1.1"),
        ("Local", flow(host(GZ1), GZ1), "10.42.0.0"),
        ("Cluster", flow(host(GZ1), GZ1), "10.42.0.0"),
        ("Local", flow(host(GZ1), XJP1), "192.168.8.1"),
        ("Local", flow(host(XJP1), GZ1), "dropped"),
        ("Cluster", flow(host(XJP1), XJP1), "10.42.1.1"),
        ("Cluster", flow(pod(GZ1), CLUSTER_IP), "10.42.0.250"),
        ("Local", flow(pod(XJP1), CLUSTER_IP), "10.42.1.250"),
        ("Cluster", flow(host(GZ1), CLUSTER_IP), "10.42.0.0"),
        ("Cluster", flow(host(XJP1), CLUSTER_IP), "10.42.1.1"),
        ("Local", flow(OUTSIDE, CLUSTER_IP, via=GZ1), "10.42.0.0"),
        ("Local", flow(OUTSIDE, CLUSTER_IP), "unroutable"),
        ("Cluster", flow(pod(XJP1, 2), CLUSTER_IP), "10.42.1.1"),
        ("Local", flow(pod(XJP1, 2), XJP1), "10.42.1.1"),
        ("Local", flow(pod(XJP1, 2), SHA1), "dropped"),
    ],
)
def test_what_the_pod_sees(mode: ProxyMode, policy: str, sent: Flow, expected: str) -> None:
    assert fates(cluster(AWAY, mode=mode, external_traffic_policy=policy), sent) == expected


@pytest.mark.parametrize(
    ("sender", "expected"), [(host(XJP1), "10.42.1.1"), (host(GZ1), "10.42.0.0")]
)
def test_a_process_with_a_pod_network_address_counts_as_a_pod(
    sender: Source, expected: str
) -> None:
    """Dialling cni0 of its own node, or of another over flannel.1 (§4.1, §12.24)."""
    assert fates(cluster(AWAY, **LOCAL), flow(sender, "10.42.1.1", NODE_PORT)) == expected


@MODES
@pytest.mark.parametrize(
    ("policy", "sent", "expected"),
    [
        ("Cluster", flow(OUTSIDE, GZ1), "192.168.8.1"),
        ("Cluster", flow(OUTSIDE, XJP1), "192.168.22.2"),
        ("Local", flow(OUTSIDE, XJP1), "192.168.22.2"),
        ("Local", flow(OUTSIDE, GZ1), "dropped"),
        ("Cluster", flow(host(XJP1), CLUSTER_IP), "172.17.26.70"),
        ("Cluster", flow(host(XJP1), XJP1), "172.17.26.70"),
        ("Cluster", flow(pod(GZ1), CLUSTER_IP), "192.168.8.1"),
        ("Cluster", flow(pod(XJP1), CLUSTER_IP), "10.42.1.250"),
        ("Cluster", flow(pod(XJP1), XJP1), "10.42.1.250"),
        ("Cluster", flow(OUTSIDE, "172.17.26.70"), "192.168.22.2"),
    ],
)
def test_a_host_network_backend(mode: ProxyMode, policy: str, sent: Flow, expected: str) -> None:
    """What a node receives for itself is never masqueraded (§4.1); the last row dials the pod."""
    there = cluster(host_endpoint(XJP1), mode=mode, external_traffic_policy=policy)
    assert fates(there, sent) == expected


def test_loopback_with_a_host_network_backend_shows_the_nic() -> None:
    there = cluster(host_endpoint(XJP1))
    assert fates(there, flow(host(XJP1), "127.0.0.1", NODE_PORT)) == "172.17.26.70"


@pytest.mark.parametrize(
    ("backend", "at", "expected"),
    [("vxlan", 0, "10.42.0.0"), ("host-gw", 0, "192.168.22.10"), ("host-gw", 1, "10.42.1.1")],
)
def test_masquerade_takes_the_address_of_the_way_out(backend: Any, at: int, expected: str) -> None:
    """§4.2: flannel.1 over VXLAN, the NIC over host-gw, cni0 to a pod of the node."""
    there = cluster(endpoint(LAN[1]), backend=backend, nodes=LAN)
    assert fates(there, flow(OUTSIDE, LAN[at])) == expected


def test_the_nic_address_is_the_one_in_the_next_hops_subnet() -> None:
    gz1 = type(GZ1)("gz1", GZ1.addresses + LAN[0].addresses, GZ1.pod_cidrs)
    there = cluster(endpoint(LAN[1]), backend="host-gw", nodes=(gz1, LAN[1]))
    assert fates(there, flow(OUTSIDE, GZ1)) == "192.168.22.10"


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_host_gw_has_no_flannel_device(backend: Any) -> None:
    there = cluster(endpoint(LAN[1]), backend=backend, nodes=LAN)
    expected = "10.42.0.0" if backend == "vxlan" else "unroutable"
    assert fates(there, flow(pod(LAN[0]), "10.42.0.0", NODE_PORT)) == expected


@MODES
@pytest.mark.parametrize(
    ("to", "expected"), [(GZ1, "fd00:10:42::"), (XJP1, "fd00:10:42:1::1"), (SHA1, "fd00:10:42:2::")]
)
def test_ipv6_masquerade(mode: ProxyMode, to: Any, expected: str) -> None:
    there = cluster(endpoint(XJP1, family=6), mode=mode, **V6)
    assert fates(there, flow(client("fd00:192:168:22::2"), to)) == expected


def test_hops_count_from_the_entry_node() -> None:
    there = cluster(endpoint(GZ1), AWAY)
    for source in OUTSIDE, pod(XJP1), host(GZ1):
        hops = {b.node: b.hops for b in predict(there, flow(source, GZ1)).backends}
        assert hops == {"gz1": 1, "xjp1": 2}


@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        (OUTSIDE, XJP1, "kept"),
        (pod(GZ1), CLUSTER_IP, "kept"),
        (pod(GZ1), XJP1, "replaced"),
        (host(GZ1), XJP1, "kept"),
        (host(GZ1), GZ1, "replaced"),
    ],
)
def test_client_ip_is_the_address_the_sender_started_with(
    source: Source, to: Any, expected: str
) -> None:
    assert predict(cluster(AWAY, **LOCAL), flow(source, to)).client_ip == expected


def test_client_ip_is_replaced_as_soon_as_one_pod_sees_another() -> None:
    there = cluster(host_endpoint(GZ1), AWAY)
    assert predict(there, flow(OUTSIDE, GZ1)).client_ip == "replaced"


# The way back (§4.6, kubernetes#74383): no CNI masquerade, so a pod reaches another node's Local
# node port with its own address, is taken for a pod there and short-circuited unmasqueraded.


@pytest.mark.parametrize(
    ("endpoints", "expected", "shares"),
    [
        ((endpoint(SHA1),), "10.42.0.250", [1.0]),
        ((AWAY,), "dropped", []),
        ((AWAY, endpoint(SHA1)), "mixed", [0.5]),
        ((endpoint(GZ1),), "dropped", []),
    ],
)
def test_an_answer_past_the_translating_node_is_lost(
    endpoints: tuple[Endpoint, ...], expected: str, shares: list[float]
) -> None:
    there = cluster(*endpoints, masquerade=False, **LOCAL)
    answer = predict(there, flow(pod(GZ1), SHA1))
    assert [b.share for b in answer.backends] == shares
    assert str(answer.backends[0].source_ip if shares == [1.0] else answer.fate) == expected


def test_flannel_masquerade_mends_the_way_back_of_a_foreign_pod() -> None:
    """Rule 5: a pod network source that is not this node's own, on its way to yet another node."""
    there = cluster(AWAY, **LOCAL)
    assert fates(there, flow(pod(GZ1), "10.42.2.1", NODE_PORT)) == "10.42.2.0"


def test_without_a_detector_flannel_still_masquerades_outsiders_to_remote_pods() -> None:
    """Rule 6; towards a hostNetwork pod elsewhere no rule does, and the answer is lost."""
    settings: dict[str, Any] = {"proxy": {"detect_local": ()}}
    routed = flow(OUTSIDE, CLUSTER_IP, via=GZ1)
    assert fates(cluster(AWAY, **settings), routed) == "10.42.0.0"
    assert fates(cluster(endpoint(GZ1), **settings), routed) == "192.168.22.2"
    assert fates(cluster(host_endpoint(XJP1), **settings), routed) == "dropped"


@MODES
@pytest.mark.parametrize(
    ("source", "via", "expected"),
    [
        (OUTSIDE, GZ1, "loop"),
        (pod(GZ1), GZ1, "dropped"),
        (host(GZ1), GZ1, "dropped"),
        (pod(XJP1), GZ1, "loop"),
        (host(XJP1), GZ1, "loop"),
        (client("fd00:192:168:22::2"), GZ1, "loop"),
        (pod(GZ1, family=6), GZ1, "dropped"),
        (host(GZ1, 6), GZ1, "loop"),
        (pod(XJP1, family=6), GZ1, "loop"),
    ],
)
def test_loops_and_martians(mode: ProxyMode, source: Source, via: Any, expected: str) -> None:
    """An address that no rule catches comes back from the router (§13.9-10)."""
    cluster_ips = (ip_address(CLUSTER_IP), *V6["cluster_ips"])
    there = cluster(AWAY, mode=mode, cluster_ips=cluster_ips, **PROXIED)
    to = LB_IP if source.ip.version == 4 else "2001:db8::10"
    assert fates(there, flow(source, to, via=via)) == expected


def test_an_unmasqueraded_pod_never_hears_of_the_routers_icmp() -> None:
    """It circles until its hops run out, at the router, which has no way to a pod: silence. The
    kernel said so against the prediction, which was wrong."""
    there = cluster(AWAY, masquerade=False, **PROXIED)
    assert fates(there, flow(pod(GZ1), LB_IP, via=GZ1)) == "dropped"
    assert fates(there, flow(pod(GZ1), "198.51.100.7")) == "dropped"
    assert fates(there, flow(host(XJP1), LB_IP, via=GZ1)) == "loop"


def test_an_ipv6_node_is_rejected_by_itself_once_the_packet_is_back() -> None:
    """iptables rejects on FORWARD, not on OUTPUT (§13.9)."""
    ingress = (Ingress(ip_address("2001:db8::10")),)
    there = cluster(type="LoadBalancer", ingress=ingress, **V6)
    assert fates(there, flow(host(GZ1, 6), "2001:db8::10", via=GZ1)) == "rejected"


def test_a_load_balancer_ip_of_a_node_is_served_where_it_is() -> None:
    """As k3s' servicelb writes it: node addresses, mode VIP (§7)."""
    ingress = tuple(Ingress(ip_address(n.addresses[0].ip)) for n in (GZ1, XJP1))
    there = cluster(AWAY, type="LoadBalancer", ingress=ingress, **LOCAL)
    assert fates(there, flow(OUTSIDE, "172.17.26.70", 80)) == "192.168.22.2"
    assert fates(there, flow(OUTSIDE, "192.168.8.1", 80)) == "dropped"
    assert fates(there, flow(pod(XJP1), "192.168.8.1", 80)) == "10.42.1.250"


def test_a_pod_dialled_by_its_own_address() -> None:
    plain = cluster(AWAY)
    there = Cluster(
        plain.nodes,
        pods=(Pod("default", "idle", "gz1", (ip_address("10.42.0.9"),)),),
        services=plain.services,
        endpoints=plain.endpoints,
        cni=plain.cni,
        proxy=plain.proxy,
    )
    assert fates(there, flow(pod(XJP1), "10.42.1.2")) == "10.42.1.250"
    assert fates(there, flow(pod(GZ1), "10.42.1.2")) == "10.42.0.250"
    assert fates(there, flow(host(GZ1), "10.42.1.2")) == "10.42.0.0"
    assert fates(there, flow(host(XJP1), "10.42.1.2")) == "10.42.1.1"
    assert fates(there, flow(pod(GZ1), "10.42.0.9")) == "closed"
    assert fates(there, flow(pod(GZ1), "10.42.0.9", protocol="UDP")) == "rejected"
    assert fates(there, flow(pod(GZ1), "10.42.0.77")) == "unroutable"
    assert fates(there, flow(OUTSIDE, "10.42.1.2")) == "unroutable"


def test_an_endpoint_outside_the_cluster() -> None:
    """A slice written by hand; its node's name does not matter to routes."""
    there = cluster(Endpoint(ip_address("198.51.100.7"), 80))
    answer = predict(there, flow(OUTSIDE, GZ1))
    assert [(b.node, str(b.source_ip), b.hops) for b in answer.backends] == [
        (None, "192.168.8.1", 2)
    ]


def test_nodes_without_pod_cidr_are_found_by_the_slices_node_name() -> None:
    bare = tuple(type(n)(n.name, n.addresses) for n in (GZ1, XJP1))
    there = cluster(endpoint(XJP1), nodes=bare, **LOCAL)
    answer = predict(there, flow(OUTSIDE, XJP1))
    assert [(b.node, str(b.source_ip), b.hops) for b in answer.backends] == [
        ("xjp1", "192.168.22.2", 1)
    ]


def test_a_host_network_pod_sends_as_its_node() -> None:
    sender = Source("pod", "agent", ip_address("192.168.8.1"), "gz1")
    assert fates(cluster(AWAY, **LOCAL), flow(sender, GZ1)) == "10.42.0.0"


def test_an_address_inside_the_cluster_is_a_pod_or_a_node() -> None:
    there = cluster(AWAY, **LOCAL)
    by_pod = Source("address", "10.42.0.250", ip_address("10.42.0.250"))
    by_node = Source("address", "192.168.8.1", ip_address("192.168.8.1"))
    assert fates(there, flow(by_pod, GZ1)) == "10.42.0.250"
    assert fates(there, flow(by_node, GZ1)) == "10.42.0.0"


def test_a_node_without_the_family_cannot_send() -> None:
    bare = type(GZ1)("gz1", GZ1.addresses[:1])
    there = cluster(nodes=(bare,), **V6)
    sender = Source("node", "gz1", ip_address("fd00:192:168:8::1"), "gz1")
    assert fates(there, flow(sender, "fd00:10:43::10")) == "unroutable"


def destination(address: str) -> Destination:
    return Destination("address", ip_address(address), 80)


@pytest.mark.parametrize(
    ("impossible", "words"),
    [
        (Flow(OUTSIDE, destination("fd00::1")), "families differ"),
        (Flow(Source("node", "n9", ip_address("10.0.0.1"), "n9"), destination(LB_IP)), "n9"),
        (Flow(Source("pod", "web-0", ip_address("10.42.0.9")), destination(LB_IP)), "on no node"),
        (Flow(OUTSIDE, destination(LB_IP), "n9"), "n9"),
    ],
)
def test_impossible_flows_are_refused_with_a_remedy(impossible: Flow, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        predict(cluster(AWAY), impossible)
    assert caught.value.remedy


def test_an_empty_detector_family_leaves_the_other_alone() -> None:
    """Only an IPv6 CIDR is detected: IPv4 cluster IPs are dialled unmasqueraded (§1.4)."""
    there = cluster(endpoint(GZ1), proxy={"detect_local": (ip_network("fd00:10:42::/48"),)})
    assert fates(there, flow(OUTSIDE, CLUSTER_IP, via=GZ1)) == "192.168.22.2"
