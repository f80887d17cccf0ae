"""Netlink's framing, and the little of netfilter's that the lab asks for itself.

Numbers are those of <linux/netlink.h> and <linux/netfilter/nfnetlink.h>.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from .netns import Namespace

REQUEST, ACK, DUMP = 1, 4, 0x300
CREATE = 0x400 | 0x200
"""NLM_F_CREATE | NLM_F_EXCL"""
REPLACE = 0x400 | 0x100
"""NLM_F_CREATE | NLM_F_REPLACE"""
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")
_FAMILY_HEADER = 4
"""Bytes of what stands before a netfilter message's attributes."""
_CHUNK = 64 * 1024

NETLINK_NETFILTER = 12
_NEW_COUNTER = 7 << 8
_GET_GENERATION = 10 << 8 | 16


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute: its header, payload and padding."""
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by kind; of several of a kind the last."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + size]
        offset += (max(size, 4) + 3) & ~3
    return found


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The messages of one datagram: kind, sequence number, payload."""
    offset = 0
    while offset + HEADER.size <= len(data):
        size, kind, _, sequence, _ = HEADER.unpack_from(data, offset)
        yield kind, sequence, data[offset + HEADER.size : offset + size]
        offset += (size + 3) & ~3


class Netfilter:
    """A netfilter netlink socket inside a namespace, for one request at a time."""

    def __init__(self, namespace: Namespace) -> None:
        self._name = namespace.name
        self.socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)

    def request(
        self, kind: int, body: bytes, *, flags: int = 0, group: int = 0, family: int = 0
    ) -> None:
        """Ask, and wait for the acknowledgement. Raises OSError if the kernel refuses."""
        self._send(kind, REQUEST | ACK | flags, struct.pack("!BBH", family, 0, group) + body)
        for answer, _, payload in messages(self.socket.recv(4096)):
            self._check(answer, payload)

    def dump(self, kind: int, *, family: int) -> Iterator[bytes]:
        """The attributes of every object of a kind. Raises OSError if the kernel refuses."""
        self._send(kind, REQUEST | DUMP, struct.pack("!BBH", family, 0, 0))
        while True:
            for answer, _, payload in messages(self.socket.recv(_CHUNK)):
                self._check(answer, payload)
                if answer == DONE:
                    return
                yield payload[_FAMILY_HEADER:]

    def generation(self) -> int | None:
        """The number of the rules' generation, which rises with every change by anybody; None where
        the kernel has no nftables."""
        try:
            self._send(_GET_GENERATION, REQUEST, struct.pack("!BBH", socket.AF_UNSPEC, 0, 0))
            for answer, _, payload in messages(self.socket.recv(4096)):
                self._check(answer, payload)
                return int.from_bytes(attributes(payload[_FAMILY_HEADER:])[1], "big")
        except OSError:
            pass
        return None

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body)

    def _check(self, answer: int, payload: bytes) -> None:
        number = -struct.unpack_from("=i", payload)[0] if answer == ERROR else 0
        if number:
            raise OSError(number, f"netfilter in {self._name}: {os.strerror(number)}")


def create_counters(namespace: Namespace, *names: str) -> bool:
    """Create nfacct objects; False where the kernel has none."""
    netfilter = Netfilter(namespace)
    with netfilter.socket:
        try:
            for name in names:
                netfilter.request(_NEW_COUNTER, attribute(1, name.encode() + b"\0"), flags=CREATE)
        except OSError:
            return False
    return True
