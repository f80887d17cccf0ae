"""Headers of a packet, from its bytes: Ethernet, VXLAN, IPv4 and IPv6, TCP, UDP, ICMP errors."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ..model.trace import Addresses

_ETHERNET = 14
_IPV4, _IPV6 = 0x0800, 0x86DD
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_EXTENSIONS = (0, 43, 60)
_VXLAN_PORT, _VXLAN = 8472, 8
_ERRORS = {_ICMP: (3, 5, 11, 12), _ICMPV6: (1, 2, 3, 4)}
_FLAGS = (("SYN", 2), ("RST", 4), ("FIN", 1), ("PSH", 8), ("ACK", 16))
_FRAGMENT = 0x1FFF


class Packet(NamedTuple):
    """One packet, the inner one where VXLAN carries it.

    kind: `SYN`, `SYN-ACK`, `UDP`, `ICMP 3/3` and the like. identity: what NAT leaves as it is and
    no other packet of the flow has. outer: of the packet that carries it. about: what an ICMP error
    quotes.
    """

    addresses: Addresses
    ttl: int
    kind: str
    identity: tuple[object, ...]
    outer: Addresses | None = None
    about: Addresses | None = None


def parse(frame: bytes) -> Packet | None:
    """The packet in an Ethernet frame; None for what is no TCP, UDP or ICMP error."""
    if len(frame) < _ETHERNET:
        return None
    (kind,) = struct.unpack_from("!H", frame, _ETHERNET - 2)
    if kind not in (_IPV4, _IPV6):
        return None
    found = parse_ip(frame[_ETHERNET:])
    if found and _carries(found):
        (payload,) = found.identity[1:]
        assert isinstance(payload, bytes)
        inner = parse(payload[_VXLAN:])
        return inner and inner._replace(outer=found.addresses)
    return found


def _carries(packet: Packet) -> bool:
    return packet.kind == "UDP" and packet.addresses.destination_port == _VXLAN_PORT


def parse_headers(network: bytes, transport: bytes) -> Packet | None:
    """The packet of which the two headers are given, perhaps cut short; None for one that carries
    another."""
    if not network or len(transport) < 8:
        return None
    size = (network[0] & 15) * 4 if network[0] >> 4 == 4 else 40
    if len(network) < size:
        return None
    found = parse_ip(network[:size] + transport)
    return None if found is None or _carries(found) else found


def parse_ip(data: bytes) -> Packet | None:
    """The packet that begins with its IP header."""
    if len(data) < 20:
        return None
    if data[0] >> 4 == 4:
        head, protocol, ttl = (data[0] & 15) * 4, data[9], data[8]
        if struct.unpack_from("!H", data, 6)[0] & _FRAGMENT:
            return None
        source, destination = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
        (length,) = struct.unpack_from("!H", data, 2)
        body = data[head:length] if length > head else data[head:]
    else:
        if len(data) < 40:
            return None
        head, protocol, ttl = 40, data[6], data[7]
        source, destination = str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40]))
        (length,) = struct.unpack_from("!H", data, 4)
        body = data[head : head + length] if length else data[head:]
        while protocol in _EXTENSIONS and len(body) >= 8:
            protocol, body = body[0], body[(body[1] + 1) * 8 :]
    if len(body) < 8:
        return None
    if protocol in (_TCP, _UDP):
        return _transport(protocol, source, destination, ttl, body)
    if body[0] in _ERRORS.get(protocol, ()):
        return _error(source, destination, ttl, body)
    return None


def _transport(protocol: int, source: str, destination: str, ttl: int, body: bytes) -> Packet:
    ports = struct.unpack_from("!HH", body)
    name = "TCP" if protocol == _TCP else "UDP"
    addresses = Addresses(source, ports[0], destination, ports[1], name)
    if protocol == _UDP:
        return Packet(addresses, ttl, "UDP", ("UDP", body[8:]))
    sequence, acknowledged = struct.unpack_from("!II", body, 4) if len(body) >= 12 else (0, 0)
    flags = body[13] if len(body) > 13 else 0
    payload = body[(body[12] >> 4) * 4 :] if len(body) > 12 else b""
    kind = "-".join(word for word, bit in _FLAGS if flags & bit)
    if payload:
        kind += f" {len(payload)} bytes"
    return Packet(addresses, ttl, kind, ("TCP", flags, sequence, acknowledged, len(payload)))


def _error(source: str, destination: str, ttl: int, body: bytes) -> Packet | None:
    quoted = parse_ip(body[8:])
    if quoted is None:
        return None
    kind = f"ICMP {body[0]}/{body[1]}"
    addresses = Addresses(source, 0, destination, 0, "ICMP")
    return Packet(addresses, ttl, kind, (kind,), about=quoted.addresses)
