"""Headers read off bytes, in both families."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.evidence.packet import parse, parse_headers, parse_ip
from secondhop.model.trace import Addresses

from .frames import error, ethernet, ip, tcp, udp, vxlan

V4, V6 = ("192.168.22.2", "192.168.8.1"), ("fd00:22::2", "fd00:8::1")
SYN, ACK, RST, PSH = 2, 16, 4, 8


@pytest.mark.parametrize("hosts", [V4, V6])
@pytest.mark.parametrize(
    ("protocol", "body", "kind", "name"),
    [
        (6, tcp(40000, 80), "SYN", "TCP"),
        (6, tcp(40000, 80, SYN | ACK), "SYN-ACK", "TCP"),
        (6, tcp(40000, 80, RST | ACK), "RST-ACK", "TCP"),
        (6, tcp(40000, 80, PSH | ACK, data=b"GET /"), "PSH-ACK 5 bytes", "TCP"),
        (17, udp(40000, 80, b"?"), "UDP", "UDP"),
    ],
)
def test_transports(
    hosts: tuple[str, str], protocol: int, body: bytes, kind: str, name: str
) -> None:
    found = parse(ethernet(ip(*hosts, protocol, body, ttl=61)))
    assert found is not None
    assert found.addresses == Addresses(hosts[0], 40000, hosts[1], 80, name)
    assert (found.kind, found.ttl, found.outer) == (kind, 61, None)


def test_the_inner_packet_counts_and_the_outer_is_told() -> None:
    inner = ethernet(ip("10.42.0.0", "10.42.1.2", 6, tcp(5000, 80)))
    found = parse(ethernet(vxlan("192.168.8.1", "172.17.26.70", inner)))
    assert found is not None
    assert found.addresses[:4] == ("10.42.0.0", 5000, "10.42.1.2", 80)
    assert found.outer == Addresses("192.168.8.1", 40000, "172.17.26.70", 8472, "UDP")


@pytest.mark.parametrize(
    ("hosts", "protocol", "kind", "code"), [(V4, 1, 3, 3), (V4, 1, 11, 0), (V6, 58, 1, 4)]
)
def test_an_error_quotes_what_it_is_about(
    hosts: tuple[str, str], protocol: int, kind: int, code: int
) -> None:
    quoted = ip(*hosts, 6, tcp(40000, 80))
    found = parse(ethernet(ip(hosts[1], hosts[0], protocol, error(kind, code, quoted))))
    assert found is not None
    assert found.kind == f"ICMP {kind}/{code}"
    assert found.about == Addresses(hosts[0], 40000, hosts[1], 80, "TCP")


class _Case(NamedTuple):
    name: str
    frame: bytes


@pytest.mark.parametrize(
    "case",
    [
        _Case("nothing", b""),
        _Case("ARP", bytes(12) + b"\x08\x06" + bytes(28)),
        _Case("a ping", ethernet(ip(*V4, 1, b"\x08\0\0\0\0\0\0\0"))),
        _Case("a later fragment", ethernet(ip(*V4, 6, tcp(1, 2))[:6] + b"\0\x10" + bytes(32))),
        _Case("cut short", ethernet(ip(*V4, 6, tcp(1, 2)))[:20]),
        _Case("cut before the ports", ethernet(ip(*V6, 6, b"\0\1"))),
    ],
    ids=lambda case: case.name,
)
def test_what_is_none_of_them(case: _Case) -> None:
    assert parse(case.frame) is None


@pytest.mark.parametrize("hosts", [V4, V6])
def test_headers_alone_tell_the_same_but_for_the_length(hosts: tuple[str, str]) -> None:
    whole = ip(*hosts, 6, tcp(40000, 80, PSH | ACK, 5, 6, b"data"))
    size = 20 if hosts is V4 else 40
    found, all_of_it = parse_headers(whole[:size], whole[size : size + 20]), parse_ip(whole)
    assert found is not None
    assert all_of_it is not None
    assert found.addresses == all_of_it.addresses
    assert found.identity[:4] == all_of_it.identity[:4]


def test_translation_changes_no_identity() -> None:
    one = parse_ip(ip("192.168.22.2", "192.168.8.1", 6, tcp(40000, 30316)))
    other = parse_ip(ip("10.42.0.0", "10.42.1.2", 6, tcp(5000, 80), ttl=61))
    assert one is not None
    assert other is not None
    assert one.identity == other.identity


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for frame in data, ethernet(data) if data else b"", ethernet(b"\x45" + data):
        parse(frame)
    parse_headers(data[:20], data[20:])
