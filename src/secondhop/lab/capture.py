"""Evidence that a rule dropped or rejected a packet: the rule itself reports it.

Before each rule that drops or rejects stands one with the same match that logs to a netlink group
(the loaders' `instrument`). What arrives there names the rule and carries the packet's headers, so
that a probe's own SYN or datagram is recognised by the mark it bears, whoever has translated its
addresses before, within microseconds instead of a timeout. Numbers are those of
<linux/netfilter/nfnetlink_log.h> and <linux/tcp.h>.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from .netlink import Netfilter, attribute, attributes, messages
from .netns import Namespace

GROUP = 1

_SUBSYSTEM_LOG = 4
_PACKET, _CONFIG = _SUBSYSTEM_LOG << 8, _SUBSYSTEM_LOG << 8 | 1
_COPY_BYTES = 64
_INITIAL_TTL = 64
_BUFFER = 4 * 1024 * 1024


class Packet(NamedTuple):
    """The first packet of a connection, or a datagram, where a rule met it. mark: a SYN's sequence
    number, or what a datagram begins with: no translation changes it."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    mark: int


class Verdict(NamedTuple):
    """What refuses packets: the rule as it is printed, and whether it drops them silently; a
    rejection is answered, and the answer is waited for."""

    rule: str
    drops: bool


class Refusal(NamedTuple):
    """A packet that was refused: on which node, and by what (see Verdict)."""

    node: str
    rule: str
    drops: bool


class RefusalLog:
    """Listens to one node's rules and hands every refusal to `report`."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self.meaning: dict[str, Verdict] = {}
        self._node = namespace.name
        self._report = report
        self._socket = self.listen(namespace)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @staticmethod
    def listen(namespace: Namespace) -> socket.socket:
        """A socket bound to the group, one packet a message. Raises OSError if refused."""
        netfilter = Netfilter(namespace)
        netfilter.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        copy_headers = struct.pack("!IBx", _COPY_BYTES, 2)
        at_once = struct.pack("!I", 1)
        netfilter.request(_CONFIG, attribute(1, b"\1"), group=GROUP)
        netfilter.request(_CONFIG, attribute(2, copy_headers) + attribute(5, at_once), group=GROUP)
        return netfilter.socket

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # ENOBUFS: some reports were lost; those attempts time out instead
            self._messages(data)

    def _messages(self, data: bytes) -> None:
        for kind, _, payload in messages(data):
            if kind == _PACKET:
                self._packet(payload[4:])

    def _packet(self, body: bytes) -> None:
        found = attributes(body)
        prefix = found.get(10, b"").rstrip(b"\0").decode()
        packet = _parse(found.get(9, b""))
        if packet and prefix in self.meaning:
            self._report(packet, Refusal(self._node, *self.meaning[prefix]))


class Arrival(NamedTuple):
    """How a connection's SYN, or a datagram, reached its pod: the TTL (hop limit) it had left, and
    whose pod it was."""

    ttl: int
    node: str
    host_network: bool

    @property
    def forwards(self) -> int:
        """How often the packet was forwarded: each time takes one off the TTL."""
        return _INITIAL_TTL - self.ttl


Arrivals: TypeAlias = dict[tuple[str, int], Arrival]
"""Arrivals by the peer's address and port, as the pod saw them."""

_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _TCP_SAVE_SYN, _TCP_SAVED_SYN = 19, 20, 21, 27, 28
_SEND_QUEUE = 2
_REPAIR_ON, _REPAIR_DONE = 1, -1
_LONGEST_HEADERS = 128
_TTL = {4: 8, 6: 7}
"""Where the IP header has it, by version."""
_MARKS = {bytes([socket.IPPROTO_TCP]): 4, bytes([socket.IPPROTO_UDP]): 8}
"""Where the transport's header, or what follows it, has the mark."""


_MARK = struct.Struct("!I")


def mark_syn(sock: socket.socket, mark: int) -> None:
    """Let the connection that this socket will open begin with that sequence number. Needs
    CAP_NET_ADMIN in its namespace, as everything in a lab has."""
    for option, value in (
        (_TCP_REPAIR, _REPAIR_ON),
        (_TCP_REPAIR_QUEUE, _SEND_QUEUE),
        (_TCP_QUEUE_SEQ, mark),
        (_TCP_REPAIR, _REPAIR_DONE),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


def marked(mark: int, text: bytes) -> bytes:
    """A datagram that bears a mark."""
    return _MARK.pack(mark) + text


def keep_syn(listener: socket.socket) -> None:
    """Let the kernel keep the SYN of every connection to this listener, until it is asked for."""
    listener.setsockopt(socket.IPPROTO_TCP, _TCP_SAVE_SYN, 1)


def saved_ttl(connection: socket.socket) -> int:
    """The TTL of the kept SYN: every node and router on the way has taken one off."""
    syn = connection.getsockopt(socket.IPPROTO_TCP, _TCP_SAVED_SYN, _LONGEST_HEADERS)
    return syn[_TTL[syn[0] >> 4]]


def _parse(payload: bytes) -> Packet | None:
    """What a TCP or UDP packet of either family says, without IPv6 extensions."""
    version = payload[0] >> 4 if payload else 0
    if version == 4:
        header, transport, addresses, size = (payload[0] & 15) * 4, payload[9:10], 12, 4
    elif version == 6:
        header, transport, addresses, size = 40, payload[6:7], 8, 16
    else:
        return None
    mark = _MARKS.get(transport[:1])
    if mark is None or len(payload) < header + mark + _MARK.size:
        return None
    ports = struct.unpack_from("!HH", payload, header)
    source, destination = (
        str(ip_address(payload[at : at + size])) for at in (addresses, addresses + size)
    )
    (found,) = _MARK.unpack_from(payload, header + mark)
    return Packet(source, ports[0], destination, ports[1], found)
