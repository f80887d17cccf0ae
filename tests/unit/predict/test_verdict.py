"""What one node does with a packet: the tables of semantics §3, row by row."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from secondhop.model.cluster import Endpoint, Ingress, Node, ProxyMode, Service, ServicePort
from secondhop.model.flow import Source
from secondhop.predict import predict

from .build import (
    CLIENT,
    CLUSTER_IP,
    EXTERNAL_IP,
    GZ1,
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
    leaving,
    pod,
)

AWAY = (endpoint(XJP1),)
NOBODY: tuple[Endpoint, ...] = ()
BALANCED: dict[str, Any] = {
    "type": "LoadBalancer",
    "ingress": (Ingress(ip_address(LB_IP)),),
    "external_ips": (ip_address(EXTERNAL_IP),),
}
LOCAL: dict[str, Any] = {"external_traffic_policy": "Local"}
INSIDE_LOCAL: dict[str, Any] = {"internal_traffic_policy": "Local"}
BARRED: dict[str, Any] = BALANCED | {"source_ranges": (ip_network("198.51.100.0/24"),)}
BOTH: dict[str, Any] = BARRED | {"external_ips": (ip_address(LB_IP),)}
OUTSIDE, POD, HOST = client(), pod(GZ1), host(GZ1)

TABLE = [
    # row of §3.1, endpoints, Service, sender, dialled, then iptables, nftables
    ("1", NOBODY, {}, POD, CLUSTER_IP, "rejected", "rejected"),
    ("1 host", NOBODY, {}, HOST, CLUSTER_IP, "rejected", "rejected"),
    ("2", AWAY, INSIDE_LOCAL, POD, CLUSTER_IP, "dropped", "dropped"),
    ("3", AWAY, {}, POD, (CLUSTER_IP, 81), "unroutable", "rejected"),
    ("4", AWAY, {}, POD, "10.43.200.200", "unroutable", "dropped"),
    ("5", NOBODY, {}, OUTSIDE, GZ1, "rejected", "rejected"),
    ("5 pod", NOBODY, LOCAL, POD, GZ1, "rejected", "rejected"),
    ("5 LB", NOBODY, BALANCED, OUTSIDE, LB_IP, "rejected", "rejected"),
    ("5 LB pod", NOBODY, BALANCED, POD, LB_IP, "rejected", "rejected"),
    ("6", NOBODY, {}, HOST, GZ1, "rejected", "rejected"),
    ("7", NOBODY, BALANCED, HOST, LB_IP, "dropped", "rejected"),
    ("7 external", NOBODY, BALANCED, HOST, EXTERNAL_IP, "dropped", "rejected"),
    ("8", AWAY, LOCAL, OUTSIDE, GZ1, "dropped", "dropped"),
    ("8 LB", AWAY, BALANCED | LOCAL, OUTSIDE, LB_IP, "dropped", "dropped"),
    ("8 external", AWAY, BALANCED | LOCAL, OUTSIDE, EXTERNAL_IP, "dropped", "dropped"),
    ("9 pod", AWAY, LOCAL, POD, GZ1, "10.42.0.250", "10.42.0.250"),
    ("9 host", AWAY, LOCAL, HOST, GZ1, "10.42.0.0", "10.42.0.0"),
    ("9 both", AWAY, LOCAL | INSIDE_LOCAL, POD, GZ1, "10.42.0.250", "10.42.0.250"),
    ("10", AWAY, BARRED, OUTSIDE, LB_IP, "dropped", "dropped"),
    ("10 pod", AWAY, BARRED, POD, LB_IP, "dropped", "dropped"),
    ("10 host", AWAY, BARRED, HOST, LB_IP, "dropped", "dropped"),
    ("11", NOBODY, BARRED, OUTSIDE, LB_IP, "rejected", "dropped"),
    # What the kernel said against the prediction, which was wrong about nftables (§3.4).
    ("10 both", AWAY, BOTH, OUTSIDE, LB_IP, "10.42.0.0", "dropped"),
    ("11 both", NOBODY, BOTH, OUTSIDE, LB_IP, "rejected", "dropped"),
    ("12", AWAY, BALANCED, OUTSIDE, (LB_IP, 81), "loop", "loop"),
    ("13", AWAY, {}, OUTSIDE, ("192.168.8.101", NODE_PORT), "10.42.0.0", "closed"),
    ("14 any", NOBODY, {}, OUTSIDE, ("192.168.8.101", NODE_PORT), "rejected", "closed"),
    ("14 local", AWAY, LOCAL, OUTSIDE, ("192.168.8.101", NODE_PORT), "dropped", "closed"),
    ("15", AWAY, {}, HOST, ("127.0.0.1", NODE_PORT), "10.42.0.0", "closed"),
    ("17", NOBODY, {}, HOST, ("127.0.0.1", NODE_PORT), "rejected", "closed"),
    ("17 local", AWAY, LOCAL, HOST, ("127.0.0.1", NODE_PORT), "10.42.0.0", "closed"),
    ("22", AWAY, BARRED, OUTSIDE, GZ1, "10.42.0.0", "10.42.0.0"),
    ("23", AWAY, BARRED, OUTSIDE, EXTERNAL_IP, "10.42.0.0", "10.42.0.0"),
    ("unused", AWAY, {}, OUTSIDE, ("192.168.8.1", 31234), "closed", "closed"),
    ("no node port", AWAY, {"type": "ClusterIP"}, OUTSIDE, ("192.168.8.1", 80), "closed", "closed"),
]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(("row", "endpoints", "service", "sender", "to", "ipt", "nft"), TABLE)
def test_verdicts(
    mode: ProxyMode,
    row: str,
    endpoints: tuple[Endpoint, ...],
    service: dict[str, Any],
    sender: Source,
    to: Node | str | tuple[str, int],
    ipt: str,
    nft: str,
) -> None:
    """The address is brought to gz1 if it is nobody's; the Service CIDR is never brought."""
    there = cluster(*endpoints, mode=mode, **service)
    address, port = to if isinstance(to, tuple) else (to, None)
    via = GZ1 if address in (LB_IP, EXTERNAL_IP) else None
    expected = ipt if mode == "iptables" else nft
    assert fates(there, flow(sender, address, port, via)) == expected, row


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_ipv6_loopback_serves_no_node_port(policy: str) -> None:
    """[::1] gets what iptables' filter rules leave: drop, reject, or nobody listening (§13.9)."""
    ips = (ip_address(CLUSTER_IP), ip_address("fd00:10:43::10"))
    service: dict[str, Any] = {"cluster_ips": ips, "external_traffic_policy": policy}
    dialled = flow(host(GZ1, 6), "::1", NODE_PORT)
    away, here = endpoint(XJP1, family=6), endpoint(GZ1, family=6)
    assert fates(cluster(**service), dialled) == "rejected"
    assert fates(cluster(here, **service), dialled) == "closed"
    expected = "dropped" if policy == "Local" else "closed"
    assert fates(cluster(away, **service), dialled) == expected
    for endpoints in (), (away,), (here,):
        assert fates(cluster(*endpoints, mode="nftables", **service), dialled) == "closed"


NODE_PORT_ADDRESSES = [
    # nodePortAddresses, then who answers of InternalIP, second address, cni0, 127.0.0.1
    ("iptables", (), "yyyy"),
    ("nftables", (), "ynnn"),
    ("iptables", ("primary",), "ynnn"),
    ("nftables", ("0.0.0.0/0",), "yyyn"),
    ("iptables", ("192.168.8.101/32", "127.0.0.0/8"), "nyny"),
    ("nftables", ("192.168.8.101/32", "127.0.0.0/8"), "nynn"),
    ("iptables", ("fd00::/8",), "yyyy"),
]


@pytest.mark.parametrize(("mode", "configured", "answers"), NODE_PORT_ADDRESSES)
def test_which_addresses_answer_a_node_port(
    mode: ProxyMode, configured: tuple[str, ...], answers: str
) -> None:
    """§3.2; CIDRs of the other family leave a family unrestricted."""
    entries = tuple(c if c == "primary" else ip_network(c) for c in configured)
    there = cluster(*AWAY, mode=mode, proxy={"node_port_addresses": entries})
    addresses = ("192.168.8.1", "192.168.8.101", "10.42.0.1", "127.0.0.1")
    found = [fates(there, flow(host(GZ1), ip, NODE_PORT)) for ip in addresses]
    assert found == ["10.42.0.0" if answer == "y" else "closed" for answer in answers]


def test_localhost_node_ports_can_be_switched_off() -> None:
    there = cluster(*AWAY, proxy={"localhost_node_ports": False})
    assert fates(there, flow(host(GZ1), "127.0.0.1", NODE_PORT)) == "closed"


def test_ipv6_node_ports_without_an_ipv6_internal_ip_answer_everywhere() -> None:
    """The nftables default names the InternalIP; a family without one is unrestricted (§1.4)."""
    bare = Node("gz1", GZ1.addresses[:1], GZ1.pod_cidrs)
    there = cluster(
        endpoint(GZ1, family=6),
        mode="nftables",
        nodes=(bare,),
        cluster_ips=(ip_address("fd00:10:43::10"),),
    )
    assert fates(there, flow(pod(bare, family=6), "fd00:10:42::1", NODE_PORT)) == "fd00:10:42::1"


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(
    ("ranges", "sender", "expected"),
    [
        (("192.168.22.0/24",), OUTSIDE, "10.42.0.0"),
        (("0.0.0.0/0", "198.51.100.0/24"), OUTSIDE, "10.42.0.0"),
        (("fd00::/8",), OUTSIDE, "10.42.0.0"),
        (("10.42.0.0/16",), POD, "10.42.0.0"),
        (("192.168.8.0/24",), HOST, "10.42.0.0"),
        (("192.168.8.0/24",), OUTSIDE, "dropped"),
        (("192.168.8.0/24",), client(LB_IP), "10.42.0.0"),
        (("198.51.100.0/24",), client(LB_IP), "dropped"),
    ],
)
def test_source_ranges(
    mode: ProxyMode, ranges: tuple[str, ...], sender: Source, expected: str
) -> None:
    """§7: every origin, one family, a zero prefix lifts them; a node inside a range also lets the
    load balancer IP itself in."""
    networks = tuple(ip_network(r) for r in ranges)
    there = cluster(*AWAY, mode=mode, **(BALANCED | {"source_ranges": networks}))
    assert fates(there, flow(sender, LB_IP, via=GZ1)) == expected


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(
    ("sender", "masquerade_all", "detector", "expected"),
    [
        (POD, False, True, "10.42.0.250"),
        (HOST, False, True, "10.42.0.0"),
        (OUTSIDE, False, True, "10.42.0.0"),
        (POD, True, True, "10.42.0.0"),
        (POD, False, False, "10.42.0.250"),
        (POD, True, False, "10.42.0.0"),
    ],
)
def test_masquerade_to_the_cluster_ip(
    mode: ProxyMode, sender: Source, masquerade_all: bool, detector: bool, expected: str
) -> None:
    """§4.1, first three rows."""
    settings: dict[str, Any] = {"masquerade_all": masquerade_all}
    settings |= {} if detector else {"detect_local": ()}
    there = cluster(*AWAY, mode=mode, proxy=settings)
    assert fates(there, flow(sender, CLUSTER_IP, via=GZ1)) == expected


def test_without_a_detector_a_pod_is_an_outsider_under_local() -> None:
    there = cluster(*AWAY, external_traffic_policy="Local", proxy={"detect_local": ()})
    assert fates(there, flow(POD, GZ1)) == "dropped"


def test_an_ip_mode_proxy_address_is_left_to_the_balancer() -> None:
    proxied = (Ingress(ip_address(LB_IP), "Proxy"),)
    there = cluster(*AWAY, type="LoadBalancer", ingress=proxied)
    answer = predict(there, flow(OUTSIDE, LB_IP, via=GZ1))
    assert (answer.fate, "ipMode=Proxy" in answer.reason) == ("loop", True)


@pytest.mark.parametrize("hidden", [{"proxy_name": "other"}, {"type": "ExternalName"}])
def test_services_that_kube_proxy_does_not_see(hidden: dict[str, Any]) -> None:
    assert fates(cluster(*AWAY, **hidden), flow(OUTSIDE, GZ1)) == "closed"


def test_headless_services_have_no_node_port() -> None:
    assert fates(cluster(*AWAY, cluster_ips=()), flow(OUTSIDE, GZ1)) == "closed"


def test_local_policy_needs_a_service_that_can_be_reached_from_outside() -> None:
    """§1.1: a ClusterIP Service without externalIPs has no external policy."""
    lone: dict[str, Any] = {"type": "ClusterIP", "ingress": BALANCED["ingress"]} | LOCAL
    assert fates(cluster(*AWAY, **lone), flow(OUTSIDE, LB_IP, via=GZ1)) == "10.42.0.0"
    reachable = lone | {"external_ips": BALANCED["external_ips"]}
    assert fates(cluster(*AWAY, **reachable), flow(OUTSIDE, LB_IP, via=GZ1)) == "dropped"


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_services_that_share_an_address_keep_to_their_ports(mode: ProxyMode) -> None:
    """§13.4: ranges, ipMode and policy are of one address, port and protocol."""
    first = cluster(*AWAY, mode=mode, **BARRED)
    port = ServicePort("", "TCP", 81)
    other = Service(
        "default", "other", (port,), "ClusterIP", (ip_address("10.43.0.11"),),
        external_ips=(ip_address(LB_IP),),
    )  # fmt: skip
    both = type(first)(
        first.nodes,
        first.client,
        services=(*first.services, other),
        endpoints={**first.endpoints, other.port_name(port): (endpoint(GZ1),)},
        cni=first.cni,
        proxy=first.proxy,
    )
    assert fates(both, flow(OUTSIDE, LB_IP, 80, GZ1)) == "dropped"
    assert fates(both, flow(OUTSIDE, LB_IP, 81, GZ1)) == "10.42.0.1"


HEALTH: dict[str, Any] = BALANCED | LOCAL | {"health_check_node_port": 32000}
BY_CLUSTER: dict[str, Any] = HEALTH | {"external_traffic_policy": "Cluster"}


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_health_check_counts_ready_endpoints_of_its_node(mode: ProxyMode) -> None:
    """§6.1: terminating ones are served but not counted."""
    pods = (endpoint(GZ1, 2), endpoint(GZ1, 3), leaving(XJP1), endpoint(SHA1, ready=False))
    there = cluster(*pods, mode=mode, **HEALTH)
    answers = {n.name: predict(there, flow(OUTSIDE, n, 32000)).http for n in there.nodes}
    assert answers == {"gz1": (200, 2), "xjp1": (503, 0), "sha1": (503, 0)}


@pytest.mark.parametrize(
    ("mode", "service", "to", "protocol", "expected"),
    [
        ("iptables", HEALTH, "192.168.8.101", "TCP", "delivered"),
        ("nftables", HEALTH, "192.168.8.101", "TCP", "closed"),
        ("iptables", HEALTH, "192.168.8.1", "UDP", "rejected"),
        ("iptables", BY_CLUSTER, "192.168.8.1", "TCP", "closed"),
        ("iptables", HEALTH | {"type": "NodePort"}, "192.168.8.1", "TCP", "closed"),
    ],
)  # fmt: skip
def test_who_listens_for_health_checks(
    mode: ProxyMode, service: dict[str, Any], to: str, protocol: Any, expected: str
) -> None:
    there = cluster(endpoint(GZ1), mode=mode, **service)
    assert predict(there, flow(OUTSIDE, to, 32000, protocol=protocol)).fate == expected


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_a_node_port_is_of_one_protocol(protocol: Any) -> None:
    there = cluster(*AWAY, protocol=protocol)
    assert fates(there, flow(OUTSIDE, GZ1, protocol=protocol)) == "10.42.0.0"
    assert fates(there, flow(OUTSIDE, GZ1)) == "closed"


def test_an_unmatched_udp_port_is_rejected_by_the_node_itself() -> None:
    answer = predict(cluster(*AWAY), flow(OUTSIDE, GZ1, protocol="UDP"))
    assert (answer.fate, answer.steps[-1].chain) == ("rejected", "")


def test_affinity_does_not_change_a_fresh_clients_shares() -> None:
    there = cluster(endpoint(GZ1), endpoint(XJP1), affinity_timeout=10800)
    answer = predict(there, flow(OUTSIDE, GZ1))
    assert [b.share for b in answer.backends] == [0.5, 0.5]
    assert any("sessionAffinity=ClientIP" in step.rule for step in answer.steps)


@pytest.mark.parametrize("address", [CLIENT, "203.0.113.99"])
def test_any_outside_address_is_treated_alike(address: str) -> None:
    sender = Source("address", address, ip_address(address))
    there = cluster(endpoint(GZ1), external_traffic_policy="Local")
    assert fates(there, flow(sender, GZ1)) == address
