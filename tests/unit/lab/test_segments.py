"""Who shares a wire, and the router's address on it."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from secondhop.errors import LabError
from secondhop.lab.segments import by_nic, mac, segments


def wires(**machines: str) -> list[tuple[list[str], list[str]]]:
    """Machines by their addresses, in one text each; members and gateways of each wire."""
    given = {name: [ip_interface(one) for one in text.split()] for name, text in machines.items()}
    return [
        (sorted(segment.members), sorted(map(str, segment.gateways.values())))
        for segment in segments(given)
    ]


def test_a_subnet_in_common_is_a_wire_in_common() -> None:
    assert wires(a="10.0.0.1/24", b="10.0.0.2/24", c="10.0.1.1/24") == [
        (["a", "b"], ["10.0.0.254/24"]),
        (["c"], ["10.0.1.254/24"]),
    ]


def test_one_family_in_common_is_enough() -> None:
    assert wires(a="10.0.0.1/24 fd00:1::1/64", b="10.0.0.2/24 fd00:2::1/64") == [
        (
            ["a", "b"],
            [
                "10.0.0.254/24",
                "fd00:1::ffff:ffff:ffff:fffe/64",
                "fd00:2::ffff:ffff:ffff:fffe/64",
            ],
        )
    ]


def test_a_third_machine_may_connect_two() -> None:
    found = wires(a="10.0.0.1/24", b="fd00:1::1/64", c="10.0.0.2/24 fd00:1::2/64", d="10.9.0.1/24")
    assert [members for members, _ in found] == [["a", "b", "c"], ["d"]]


def test_the_router_takes_the_highest_address_that_is_free() -> None:
    assert wires(a="10.0.0.254/24", b="10.0.0.253/24") == [(["a", "b"], ["10.0.0.252/24"])]


def test_second_addresses_are_on_the_same_nic_and_other_subnets_on_nics_of_their_own() -> None:
    given = ["10.0.0.1/24", "10.0.0.101/24", "100.64.0.1/24", "fd00::1/64", "fd00:9::1/64"]
    assert [[str(one) for one in nic] for nic in by_nic(map(ip_interface, given))] == [
        ["10.0.0.1/24", "10.0.0.101/24", "fd00::1/64"],
        ["100.64.0.1/24"],
        ["fd00:9::1/64"],
    ]


@pytest.mark.parametrize("alone", ["10.0.0.1/32", "fd00::1/128"])
def test_a_subnet_without_room(alone: str) -> None:
    with pytest.raises(LabError, match="has no address left for the lab's router"):
        wires(a=alone)


def test_hardware_addresses_differ_where_addresses_do() -> None:
    pods = [ip_network("fd00:10:42::/64")[n] for n in range(2, 2000)]
    nodes = [ip_address(f"fd00:10:42:{n:x}::") for n in range(2000)]
    assert len({mac("0a58", one) for one in (*pods, *nodes)}) == len(pods) + len(nodes)
    assert mac("0a58", ip_address("10.42.1.1")) == "0a580a2a0101"
