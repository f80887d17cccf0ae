"""The logging sibling of what refuses."""

import struct
from ipaddress import ip_address

import pytest

from secondhop.dataplane.nftables.ruleset import Chain, Set, Table
from secondhop.lab import nftables
from secondhop.lab.capture import Packet, _parse
from secondhop.lab.iptables import instrument


def test_a_sibling_matches_the_same_and_counts_nothing() -> None:
    drop = "-m conntrack --ctstate INVALID -m nfacct --nfacct-name invalid -j DROP"
    rules, meaning = instrument({"filter": {"KUBE-FORWARD": (drop, "-j ACCEPT")}})
    [prefix] = meaning
    assert rules["filter"]["KUBE-FORWARD"] == (
        f"-m conntrack --ctstate INVALID -j NFLOG --nflog-prefix {prefix} --nflog-group 1"
        " --nflog-threshold 1",
        drop,
        "-j ACCEPT",
    )
    assert meaning[prefix] == (f"-A KUBE-FORWARD {drop}", True)


def test_an_element_that_refuses_leads_to_a_chain_that_logs() -> None:
    """And a rule has a sibling, but reject-chain's own, where an element leads anyway."""
    kinds = "type inet_proto . inet_service : verdict"
    says = ' comment "default/web"'
    rest = {"tcp . 1": f"{says} : drop", "tcp . 2": f"{says} : goto reject-chain"}
    table = Table(
        "ip",
        {"no-endpoint-nodeports": Set("map", kinds, rest)},
        {
            "reject-chain": Chain(("reject",)),
            "firewall": Chain(("ip saddr != 10.0.0.0/8 drop",)),
            "check": Chain(('ip daddr @cluster-ips reject comment "to drop"', "goto firewall")),
        },
    )
    logged, meaning = nftables.instrument(table)
    place = "element ip kube-proxy no-endpoint-nodeports"
    dropped, rejected, check, firewall = sorted(meaning, key=lambda p: meaning[p].rule)
    assert [*map(meaning.get, (dropped, rejected, check, firewall))] == [
        (f"{place} {{ tcp . 1{says} : drop }}", True),
        (f"{place} {{ tcp . 2{says} : goto reject-chain }}", False),
        ('rule ip kube-proxy check ip daddr @cluster-ips reject comment "to drop"', False),
        ("rule ip kube-proxy firewall ip saddr != 10.0.0.0/8 drop", True),
    ]
    assert logged.sets["no-endpoint-nodeports"].elements == {
        "tcp . 1": f"{says} : goto refused-{dropped}",
        "tcp . 2": f"{says} : goto refused-{rejected}",
    }
    assert {name: chain.rules for name, chain in logged.chains.items()} == {
        "reject-chain": ("reject",),
        "firewall": (
            f'ip saddr != 10.0.0.0/8 log prefix "{firewall}" group 1',
            "ip saddr != 10.0.0.0/8 drop",
        ),
        "check": (
            f'ip daddr @cluster-ips log prefix "{check}" group 1',
            'ip daddr @cluster-ips reject comment "to drop"',
            "goto firewall",
        ),
        f"refused-{dropped}": (f'log prefix "{dropped}" group 1', "drop"),
        f"refused-{rejected}": (f'log prefix "{rejected}" group 1', "goto reject-chain"),
    }


ADDRESSES = {4: ("192.168.22.2", "192.168.8.1"), 6: ("fd00::2", "fd00:192:168:8::1")}


def packet(version: int, protocol: int) -> bytes:
    """The headers of a packet from port 4242 to 30080, as NFLOG copies them."""
    source, destination = (ip_address(one).packed for one in ADDRESSES[version])
    transport = struct.pack("!HHI" if protocol == 6 else "!HHxxxxI", 4242, 30080, 77)
    if version == 4:
        return struct.pack("!BxHHHBBH", 0x46, 44, 0, 0, 63, protocol, 0) + (
            source + destination + bytes(4) + transport
        )
    return struct.pack("!IHBB", 6 << 28, 20, protocol, 63) + source + destination + transport


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [6, 17])
def test_a_packet_is_known_by_its_headers(version: int, protocol: int) -> None:
    """IPv4's may have options, as here."""
    source, destination = ADDRESSES[version]
    assert _parse(packet(version, protocol)) == Packet(source, 4242, destination, 30080, 77)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_packet_of_ours_is_passed_over(version: int) -> None:
    assert _parse(packet(version, 1)) is None
    for length in range(len(packet(version, 6))):
        assert _parse(packet(version, 6)[:length]) is None
