"""Single rules of the iptables mode, each where a reading could go wrong."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from secondhop.dataplane.iptables import layout as iptables
from secondhop.dataplane.iptables.ruleset import Ruleset
from secondhop.dataplane.node_ports import localhost_node_ports
from secondhop.model.cluster import (
    Cluster,
    Endpoint,
    Family,
    Ingress,
    Node,
    Proxy,
    Service,
    ServicePort,
)

NODE = Node(
    "gz1",
    (ip_interface("192.168.8.1/24"), ip_interface("fd00:8::1/64")),
    (ip_network("10.42.0.0/24"), ip_network("fd00:42::/64")),
)
BOTH = (ip_address("10.43.0.9"), ip_address("fd00:43::9"))
HERE = Endpoint(ip_address("10.42.0.2"), 80, node="gz1")
THERE = Endpoint(ip_address("10.42.1.2"), 80, node="xjp1")
HERE6 = Endpoint(ip_address("fd00:42::2"), 80, node="gz1")
PODS = (ip_network("10.42.0.0/16"), ip_network("fd00:42::/56"))


def written(
    *endpoints: Endpoint,
    proxy: Proxy | None = None,
    family: Family = 4,
    counters: bool = False,
    **service: Any,
) -> Ruleset:
    """The rules of one NodePort Service on gz1."""
    port = ServicePort("", "TCP", 80, 30080)
    fields: dict[str, Any] = {"type": "NodePort", "cluster_ips": BOTH, **service}
    web = Service("default", "web", (port,), **fields)
    cluster = Cluster(
        (NODE,),
        services=(web,),
        endpoints={web.port_name(port): endpoints},
        proxy=proxy or Proxy(detect_local=PODS),
    )
    return iptables.rules(cluster, NODE, counters=counters, family=family)


def only(rules: Ruleset, table: str, prefix: str) -> tuple[str, ...]:
    [chain] = [chain for chain in rules[table] if chain.startswith(prefix)]
    return rules[table][chain]


def test_strangers_at_the_cluster_ip_are_masqueraded_where_its_jump_leads() -> None:
    rules = written(HERE, internal_traffic_policy="Local")
    first = only(rules, "nat", "KUBE-SVL-")[0]
    assert first.startswith("! -s 10.42.0.0/16 -d 10.43.0.9/32 ")
    assert first.endswith("-j KUBE-MARK-MASQ")
    assert not any("MARK-MASQ" in rule for rule in only(rules, "nat", "KUBE-SVC-"))


def test_nobody_is_masqueraded_at_a_cluster_ip_that_nobody_here_serves() -> None:
    rules = written(THERE, internal_traffic_policy="Local")
    assert not [chain for chain in rules["nat"] if chain.startswith("KUBE-SVL-")]
    assert not any("10.43.0.9" in rule for rule in only(rules, "nat", "KUBE-SVC-"))


def jumps(rules: Ruleset) -> list[str]:
    """How the node ports are reached: what comes before the comment and what after."""
    found = []
    for rule in rules["nat"]["KUBE-SERVICES"]:
        if rule.endswith("-j KUBE-NODEPORTS"):
            before, _, after = rule.partition("-m comment")
            found.append(before + ("LOCAL" if "--dst-type LOCAL" in after else ""))
    return found


@pytest.mark.parametrize(
    ("accepted", "localhost", "works", "want"),
    [
        ((), True, True, ["LOCAL"]),
        ((), False, False, ["! -d 127.0.0.0/8 LOCAL"]),
        (("0.0.0.0/0",), True, True, ["LOCAL"]),
        (("0.0.0.0/0", "192.168.8.0/24"), False, False, ["! -d 127.0.0.0/8 LOCAL"]),
        (("fd00::/16",), True, True, ["LOCAL"]),
        (("192.168.8.0/24",), True, False, ["-d 192.168.8.1/32 "]),
        (("127.0.0.0/8",), True, True, ["-d 127.0.0.1/32 "]),
        (("127.0.0.0/8",), False, False, []),
        (("64.0.0.0/2",), True, True, ["-d 127.0.0.1/32 "]),
        (("127.0.0.1/32", "10.0.0.0/8"), True, True, None),
        (("primary",), True, False, ["-d 192.168.8.1/32 "]),
    ],
)
def test_localhost_node_ports(
    accepted: tuple[str, ...], localhost: bool, works: bool, want: list[str] | None
) -> None:
    """On: its firewall rule, its counter; off: none of them (semantics §1.4, §3.1 rows 15, 21)."""
    proxy = Proxy(
        node_port_addresses=tuple(a if a == "primary" else ip_network(a) for a in accepted),  # type: ignore[misc]
        localhost_node_ports=localhost,
    )
    rules = written(HERE, proxy=proxy, counters=True)
    assert localhost_node_ports(proxy, NODE) is works
    assert bool(rules["filter"]["KUBE-FIREWALL"]) is works
    counted = [rule for rule in rules["nat"]["KUBE-NODEPORTS"] if "nfacct" in rule]
    assert bool(counted) is works
    all_of_them = ["-d 127.0.0.1/32 ", "-d 10.42.0.1/32 ", "-d 10.42.0.0/32 "]
    assert jumps(rules) == (all_of_them if want is None else want)


def test_nftables_mode_has_no_localhost_node_ports() -> None:
    assert not localhost_node_ports(Proxy("nftables"), NODE)


@pytest.mark.parametrize(
    ("accepted", "want"),
    [
        ((), ["! -d ::1/128 LOCAL"]),
        ((ip_network("::/0"),), ["! -d ::1/128 LOCAL"]),
        ((ip_network("::1/128"), ip_network("fd00:8::/64")), ["-d fd00:8::1/128 "]),
        (("primary",), ["-d fd00:8::1/128 "]),
    ],
)
def test_ipv6_loopback_never_answers(accepted: Any, want: list[str]) -> None:
    rules = written(HERE6, proxy=Proxy(node_port_addresses=accepted), family=6, counters=True)
    assert jumps(rules) == want
    assert rules["filter"]["KUBE-FIREWALL"] == ()
    assert len(rules["nat"]["KUBE-NODEPORTS"]) == 1


@pytest.mark.parametrize(
    ("family", "icmp"), [(4, "icmp-port-unreachable"), (6, "icmp6-port-unreachable")]
)
def test_a_reject_speaks_its_familys_icmp(family: Family, icmp: str) -> None:
    rules = written(family=family)["filter"]
    refused = *rules["KUBE-SERVICES"], *rules["KUBE-EXTERNAL-SERVICES"]
    assert len(refused) == 2
    assert all(rule.endswith(f"-j REJECT --reject-with {icmp}") for rule in refused)


LB_IP = Ingress(ip_address("203.0.113.9"))


@pytest.mark.parametrize(
    ("ranges", "sources"),
    [
        ((), None),
        (("10.0.0.0/8", "0.0.0.0/0"), None),
        (("fd00::/16",), None),
        (("10.0.0.0/8",), ["10.0.0.0/8"]),
        (("10.0.0.0/8", "192.168.8.0/24"), ["10.0.0.0/8", "192.168.8.0/24", "203.0.113.9/32"]),
    ],
)
def test_source_ranges_guard_the_load_balancers_ip(
    ranges: tuple[str, ...], sources: list[str] | None
) -> None:
    networks = tuple(map(ip_network, ranges))
    rules = written(HERE, type="LoadBalancer", ingress=(LB_IP,), source_ranges=networks)
    drops = rules["filter"]["KUBE-PROXY-FIREWALL"]
    if sources is None:
        assert drops == ()
        assert not [chain for chain in rules["nat"] if chain.startswith("KUBE-FW-")]
        return
    *allowed, rest = only(rules, "nat", "KUBE-FW-")
    assert [rule.split()[1] for rule in allowed] == sources
    assert "-j" not in rest
    [drop] = drops
    assert drop.startswith("-d 203.0.113.9/32 -p tcp ")
    assert drop.endswith(" -j DROP")


def test_a_guarded_service_without_endpoints_rejects() -> None:
    """semantics §3.1 row 11."""
    ranges = (ip_network("10.0.0.0/8"),)
    rules = written(type="LoadBalancer", ingress=(LB_IP,), source_ranges=ranges)
    assert rules["filter"]["KUBE-PROXY-FIREWALL"] == ()
    assert "REJECT" in rules["filter"]["KUBE-EXTERNAL-SERVICES"][0]


def test_a_proxied_load_balancer_is_not_captured() -> None:
    rules = written(HERE, type="LoadBalancer", ingress=(replace(LB_IP, mode="Proxy"),))
    assert "203.0.113.9" not in str(rules)


@pytest.mark.parametrize(
    ("kind", "policy", "accepted"),
    [("LoadBalancer", "Local", 1), ("LoadBalancer", "Cluster", 0), ("NodePort", "Local", 0)],
)
def test_a_health_check_port_is_let_in_where_it_counts(
    kind: str, policy: str, accepted: int
) -> None:
    rules = written(type=kind, external_traffic_policy=policy, health_check_node_port=32000)
    assert len(rules["filter"]["KUBE-NODEPORTS"]) == accepted


@pytest.mark.parametrize("family", [4, 6])
def test_affinity_asks_every_endpoint_before_any_is_drawn(family: Family) -> None:
    endpoints = (HERE, THERE) if family == 4 else (HERE6,)
    rules = written(*endpoints, affinity_timeout=77, family=family)
    jumps = only(rules, "nat", "KUBE-SVC-")[1:]
    remembered = ["--rcheck --seconds 77 --reap" in rule for rule in jumps]
    assert remembered == [True] * len(endpoints) + [False] * len(endpoints)
    for chain, lines in rules["nat"].items():
        if chain.startswith("KUBE-SEP-"):
            assert f"-m recent --set --name {chain} " in lines[1]


def test_a_local_policy_without_anything_outside_means_nothing() -> None:
    """eTP Local counts on NodePort, LoadBalancer, or with external IPs (semantics §1.1)."""
    rules = written(HERE, THERE, type="ClusterIP", external_traffic_policy="Local")
    assert only(rules, "nat", "KUBE-EXT-")[0].endswith("-j KUBE-MARK-MASQ")
    external = written(
        HERE,
        type="ClusterIP",
        external_traffic_policy="Local",
        external_ips=(ip_address("198.51.100.7"),),
    )
    assert "--src-type LOCAL" in only(external, "nat", "KUBE-EXT-")[1]
