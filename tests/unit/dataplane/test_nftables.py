"""Single rules of the nftables mode, each where a reading could go wrong."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from dataplane.worlds import NODE, cluster, endpoint, proxy, service

from secondhop.dataplane.nftables.layout import rules
from secondhop.dataplane.nftables.ruleset import Chain, Set, Table, transactions
from secondhop.model.cluster import Endpoint, Family, Ingress, Proxy, ServicePort

HERE, THERE, HERE6 = endpoint(0), endpoint(1), endpoint(0, 6)
WEB = "default/web-0/tcp/p"


def written(
    *endpoints: Endpoint, of: Proxy | None = None, family: Family = 4, **fields: Any
) -> Table:
    """gz1's table with one NodePort Service of one port."""
    port = ServicePort("p", "TCP", 80, 30080)
    web = service(0, **{"ports": (port,), "type": "NodePort", **fields})
    return rules(cluster({web: [*endpoints]}, of), NODE, family)


def named(table: Table, prefix: str, name: str = WEB) -> tuple[str, ...]:
    """The rules of the one chain of this kind; none if there is none."""
    found = [c.rules for n, c in table.chains.items() if n.startswith(prefix) and name in n]
    return found[0] if found else ()


def elements(table: Table, name: str) -> dict[str, str]:
    """Elements, each with its verdict; of a chain's name its kind."""
    return {
        key: rest.partition(" : ")[2].removeprefix("goto ").partition("-")[0]
        for key, rest in table.sets[name].elements.items()
    }


def test_only_endpoints_here_are_masqueraded_when_given_to_themselves() -> None:
    """semantics §3.3 d: iptables mode does it for every endpoint."""
    hairpins = written(HERE, THERE).sets["hairpin-connections"].elements
    assert [*hairpins] == ["10.42.0.2 . 10.42.0.2 . tcp . 80"]


LB = ip_address("203.0.113.9")


@pytest.mark.parametrize("endpoints", [(), (THERE,)])
def test_source_ranges_guard_whether_anybody_serves_or_not(endpoints: tuple[Endpoint, ...]) -> None:
    """semantics §3.1 rows 10 and 11."""
    ranges = (ip_network("198.51.100.0/24"),)
    table = written(*endpoints, ingress=(Ingress(LB),), source_ranges=ranges)
    assert elements(table, "firewall-ips") == {"203.0.113.9 . tcp . 80": "firewall"}
    assert named(table, "firewall-") == ("ip saddr != 198.51.100.0/24 drop",)


@pytest.mark.parametrize(
    ("ranges", "allowed"),
    [
        (("192.168.8.0/24",), "{ 192.168.8.0/24, 203.0.113.9 }"),
        (("198.51.100.0/24", "10.0.0.0/8"), "{ 10.0.0.0/8, 198.51.100.0/24 }"),
        (("198.51.100.0/24", "fd00::/16"), "198.51.100.0/24"),
        (("fd00::/16",), None),
        (("198.51.100.0/24", "0.0.0.0/0"), None),
    ],
)
def test_who_may_use_the_load_balancer(ranges: tuple[str, ...], allowed: str | None) -> None:
    """The VIPs too where the node itself may; no guard from the other family or a zero prefix."""
    networks = tuple(map(ip_network, ranges))
    table = written(THERE, ingress=(Ingress(LB),), source_ranges=networks)
    want = (f"ip saddr != {allowed} drop",) if allowed else ()
    assert named(table, "firewall-", WEB) == want
    assert bool(table.sets["firewall-ips"].elements) is bool(want)


@pytest.mark.parametrize(
    ("accepted", "family", "test", "addresses"),
    [
        ((), 4, "ip daddr @nodeport-ips", ["192.168.8.1"]),
        (("primary",), 6, "ip6 daddr @nodeport-ips", ["fd00:8::1"]),
        (("0.0.0.0/0",), 4, "ip daddr != 127.0.0.0/8", None),
        (("192.168.8.0/24",), 6, "ip6 daddr != ::1", None),
        (("10.0.0.0/8",), 4, "ip daddr @nodeport-ips", ["10.42.0.1", "10.42.0.0"]),
        (("127.0.0.0/8",), 4, "ip daddr @nodeport-ips", []),
        (("::1/128",), 6, "ip6 daddr @nodeport-ips", []),
    ],
)
def test_addresses_that_answer_node_ports(
    accepted: tuple[str, ...], family: Family, test: str, addresses: list[str] | None
) -> None:
    """semantics §3.2; those of no address are told by their type, when they are translated."""
    ranges = tuple(a if a == "primary" else ip_network(a) for a in accepted)
    table = written(of=proxy(node_port_addresses=ranges), family=family)
    on_port = "meta l4proto . th dport vmap"
    assert table.chains["nodeport-endpoints-check"].rules == (
        f"{test} {on_port} @no-endpoint-nodeports",
    )
    local = "fib daddr type local " if addresses is None else ""
    last = table.chains["services"].rules[-1]
    assert last == f"{local}{test} {on_port} @service-nodeports"
    ips = table.sets.get("nodeport-ips")
    assert (None if ips is None else [*ips.elements]) == addresses


@pytest.mark.parametrize(
    ("of", "who"),
    [
        (proxy(), "ip saddr != 10.42.0.0/16 "),
        (proxy(masquerade_all=True), ""),
        (proxy(detect_local=()), None),
    ],
)
def test_who_is_masqueraded_at_a_cluster_ip(of: Proxy, who: str | None) -> None:
    """semantics §4.1: on any of its ports, served or not."""
    first, *rest = written(HERE, of=of).chains["services"].rules
    if who is None:
        assert len(rest) == 1
    else:
        assert first.startswith(f"ip daddr @cluster-ips {who}meta mark set meta mark | 0x00004000")
        assert len(rest) == 2


def test_policy_local_with_nobody_here() -> None:
    """Pods and the node are served; the rest stays as it is, and is dropped after that."""
    table = written(THERE, external_traffic_policy="Local", external_ips=(LB,))
    assert [rule.partition(" comment")[0] for rule in named(table, "external-")] == [
        f"ip saddr 10.42.0.0/16 goto service-C3TE4X2E-{WEB}",
        "fib saddr type local meta mark set meta mark | 0x00004000",
        f"fib saddr type local goto service-C3TE4X2E-{WEB}",
    ]
    assert not named(table, "local-")
    assert elements(table, "service-nodeports") == {"tcp . 30080": "external"}
    assert elements(table, "no-endpoint-nodeports") == {"tcp . 30080": "drop"}
    inside, outside = "10.43.0.10 . tcp . 80", "203.0.113.9 . tcp . 80"
    assert elements(table, "service-ips") == {inside: "service", outside: "external"}
    assert elements(table, "no-endpoint-services") == {outside: "drop"}


def test_nobody_anywhere_is_rejected() -> None:
    table = written(external_ips=(LB,))
    assert elements(table, "service-ips") == elements(table, "service-nodeports") == {}
    assert {*elements(table, "no-endpoint-services").values()} == {"reject"}
    assert elements(table, "no-endpoint-nodeports") == {"tcp . 30080": "reject"}
    assert table.sets["no-endpoint-nodeports"].elements == {
        "tcp . 30080": ' comment "default/web-0:p" : goto reject-chain'
    }
    assert [*table.sets["cluster-ips"].elements] == ["10.43.0.10"]


@pytest.mark.parametrize(
    ("one", "word", "to", "name"),
    [
        (HERE, "ip", "10.42.0.2:80", f"{WEB}__10.42.0.2/80"),
        (HERE6, "ip6", "[fd00:42::2]:80", f"{WEB}__fd00.42..2/80"),
    ],
)
def test_affinity(one: Endpoint, word: str, to: str, name: str) -> None:
    """Whom an endpoint remembers goes there; the set's time begins anew with each connection."""
    family: Family = one.address.version
    table = written(one, family=family, affinity_timeout=60)
    [affinity] = [n for n in table.sets if n.startswith("affinity-")]
    base = affinity.removeprefix("affinity-")
    assert base.partition("-")[2] == name
    kind = f"ipv{family}_addr"
    assert table.sets[affinity] == Set("set", f"type {kind}; flags dynamic,timeout; timeout 60s")
    assert named(table, "service-") == (
        f"{word} saddr @{affinity} goto endpoint-{base}",
        f"numgen random mod 1 vmap {{ 0 : goto endpoint-{base} }}",
    )
    assert named(table, "endpoint-") == (
        f"update @{affinity} {{ {word} saddr }}",
        f"meta l4proto tcp dnat to {to}",
    )


def test_a_long_name_is_cut() -> None:
    table = written(HERE, namespace="n" * 63, name="s" * 170)
    [name] = [n for n in table.chains if n.startswith("service-") and "/" in n]
    assert len(name) == len("service-") + 240
    assert name.endswith("sss...")


def test_of_two_services_at_one_address_the_last_written_has_it() -> None:
    """semantics §3.2."""
    pair = {service(k, external_ips=(LB,)): [endpoint(k)] for k in (0, 1)}
    verdict = rules(cluster(pair), NODE).sets["service-ips"].elements["203.0.113.9 . tcp . 80"]
    assert verdict.endswith("-default/web-1/tcp/p")


def chain_table(**chains: tuple[str, ...]) -> Table:
    return Table("ip", {}, {name: Chain(lines) for name, lines in chains.items()})


def test_a_chain_that_packets_meet_is_never_changed_in_two_steps() -> None:
    old = chain_table(a=("drop",), b=("accept",), c=("accept",))
    new = chain_table(a=("accept",) * 9, b=("drop",) * 9, c=("accept",))
    steps = transactions(old, new, limit=10)
    assert [text.count("\n") for text in steps.load] == [10, 10]
    assert all(text.startswith("flush chain ip kube-proxy ") for text in steps.load)


def test_a_chain_is_emptied_only_when_nothing_leads_there_any_more() -> None:
    before = Set("map", "type ipv4_addr : verdict", {"192.0.2.1": " : goto b", "192.0.2.2": ""})
    after = Set("map", before.spec, {"192.0.2.1": " : goto c"})
    old = Table("ip", {"m": before}, {"a": Chain(("goto b",)), "b": Chain(("drop",))})
    new = Table("ip", {"m": after}, {"a": Chain(("goto c",)), "c": Chain(("accept",))})
    table = "ip kube-proxy"
    assert transactions(old, new, limit=1) == (
        [
            f"add chain {table} c\n",
            f"add rule {table} c accept\n",
            f"delete element {table} m {{ 192.0.2.2 }}\n",
            f"delete element {table} m {{ 192.0.2.1 }}\n"
            f"add element {table} m {{ 192.0.2.1 : goto c }}\n",
            f"flush chain {table} a\nadd rule {table} a goto c\n",
            f"flush chain {table} b\n",
        ],
        ["b"],
    )
