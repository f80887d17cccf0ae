"""The pod addresses of a node."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from secondhop.errors import ApiError
from secondhop.lab.addresses import Addresses
from secondhop.lab.nodestatus import internal_ips
from secondhop.model.cluster import Node


def node(*cidrs: str, addresses: str = "192.168.8.1/24") -> Node:
    found = tuple(ip_interface(one) for one in addresses.split())
    return Node("gz1", found, tuple(ip_network(cidr) for cidr in cidrs))


def test_one_of_each_family_in_the_nodes_order() -> None:
    pool = Addresses(node("10.42.0.0/24", "fd00:10:42::/64"))
    assert list(map(str, pool.take())) == ["10.42.0.2", "fd00:10:42::2"]
    pool = Addresses(node("fd00:10:42::/64", "10.42.0.0/24"))
    assert list(map(str, pool.take())) == ["fd00:10:42::2", "10.42.0.2"]


def test_what_was_given_back_comes_last_and_what_was_wished_for_not_at_all() -> None:
    pool = Addresses(node("10.42.0.0/29"))
    assert pool.wish("10.42.0.3") == (ip_address("10.42.0.3"),)
    first = pool.take()
    pool.give_back(first)
    assert [str(pool.take()[0]) for _ in range(4)] == [
        "10.42.0.4",
        "10.42.0.5",
        "10.42.0.6",
        "10.42.0.2",
    ]


def test_a_family_that_is_used_up_takes_nothing_of_the_other() -> None:
    pool = Addresses(node("10.42.0.0/24", "fd00:10:42::/126"))
    kept = pool.take()
    for _ in range(3):
        with pytest.raises(ApiError, match="no pod address is left"):
            pool.take()
    pool.give_back(kept)
    assert str(pool.take()[1]) == "fd00:10:42::2"
    assert str(pool.wish("10.42.0.3,fd00:10:42::2")[0]) == "10.42.0.3"


@pytest.mark.parametrize(
    ("addresses", "ips"),
    [
        ("192.168.8.1/24 192.168.9.1/24", "192.168.8.1"),
        ("192.168.8.1/24 fd00::1/64 192.168.9.1/24", "192.168.8.1 fd00::1"),
        ("fd00::1/64 192.168.8.1/24", "fd00::1 192.168.8.1"),
    ],
)
def test_the_first_address_of_each_family_is_the_internal_ip(addresses: str, ips: str) -> None:
    assert " ".join(map(str, internal_ips(node(addresses=addresses)))) == ips
