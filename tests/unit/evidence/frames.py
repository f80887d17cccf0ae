"""Frames as an interface sees them, written field by field."""

import struct
from ipaddress import ip_address


def ethernet(packet: bytes) -> bytes:
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return bytes(12) + struct.pack("!H", kind) + packet


def ip(source: str, destination: str, protocol: int, body: bytes, *, ttl: int = 64) -> bytes:
    one, other = ip_address(source), ip_address(destination)
    if one.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, ttl)
        return head + one.packed + other.packed + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, ttl, protocol, 0)
    return head + one.packed + other.packed + body


def tcp(
    sport: int, dport: int, flags: int = 2, seq: int = 1000, ack: int = 0, data: bytes = b""
) -> bytes:
    return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 1, 0, 0) + data


def udp(sport: int, dport: int, data: bytes = b"") -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def error(kind: int, code: int, quoted: bytes) -> bytes:
    return struct.pack("!BBHI", kind, code, 0, 0) + quoted


def vxlan(source: str, destination: str, frame: bytes) -> bytes:
    """A frame inside another one, as flannel sends it."""
    return ip(source, destination, 17, udp(40000, 8472, bytes(8) + frame))
