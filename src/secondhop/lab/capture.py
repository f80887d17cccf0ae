"""Evidence that a rule dropped or rejected a packet: the rule itself reports it.

Before each rule that drops or rejects stands one with the same match and target NFLOG. What arrives
there names the rule and carries the packet's headers, so that a probe's own SYN is recognised by its
addresses and ports, within microseconds instead of a timeout. Numbers: <linux/netfilter/nfnetlink.h>,
<linux/netfilter/nfnetlink_log.h>.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import zlib
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NamedTuple

from ..dataplane.ruleset import Ruleset
from .netns import Namespace

GROUP = 1

_NETLINK_NETFILTER = 12
_SUBSYSTEM_LOG = 4
_PACKET, _CONFIG = _SUBSYSTEM_LOG << 8, _SUBSYSTEM_LOG << 8 | 1
_HEADER = struct.Struct("=IHHII")
_REFUSES = re.compile(r"-j (DROP|REJECT)\b.*$")
_COPY_BYTES = 64
_BUFFER = 4 * 1024 * 1024


class Packet(NamedTuple):
    """What identifies a connection attempt."""

    source: str
    source_port: int
    destination: str
    destination_port: int


class Refusal(NamedTuple):
    """A packet that a rule refused: on which node, and the rule as iptables-save prints it."""

    node: str
    rule: str

    @property
    def drops(self) -> bool:
        """Dropped silently, as opposed to rejected."""
        return self.rule.endswith("-j DROP")


def instrument(rules: Ruleset) -> tuple[Ruleset, dict[str, str]]:
    """The rules with an NFLOG sibling before each that refuses, and what each log prefix means."""
    meaning: dict[str, str] = {}

    def chain_with_logs(chain: str, lines: tuple[str, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for line in lines:
            if _REFUSES.search(line):
                rule = f"-A {chain} {line}"
                prefix = f"{zlib.crc32(rule.encode()):08x}"
                meaning[prefix] = rule
                log = f"-j NFLOG --nflog-prefix {prefix} --nflog-group {GROUP}"
                found.append(_REFUSES.sub(f"{log} --nflog-threshold 1", line))
            found.append(line)
        return tuple(found)

    logged = {
        table: {chain: chain_with_logs(chain, lines) for chain, lines in chains.items()}
        for table, chains in rules.items()
    }
    return logged, meaning


class RefusalLog:
    """Listens to one node's rules and hands every refusal to `report`."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self.meaning: dict[str, str] = {}
        self._node = namespace.name
        self._report = report
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        bind = _attribute(1, b"\1")
        copy = _attribute(2, struct.pack("!IBx", _COPY_BYTES, 2))
        at_once = _attribute(5, struct.pack("!I", 1))  # NFULA_CFG_QTHRESH: one packet a message
        self._configure(bind)
        self._configure(copy + at_once)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _configure(self, attributes: bytes) -> None:
        """Send one configuration message; raises OSError if the kernel refuses it."""
        body = struct.pack("!BBH", socket.AF_UNSPEC, 0, GROUP) + attributes
        self._socket.send(_HEADER.pack(16 + len(body), _CONFIG, 1 | 4, 1, 0) + body)
        answer = self._socket.recv(4096)
        number = -struct.unpack_from("=i", answer, 16)[0]
        if number:
            raise OSError(number, f"NFLOG on {self._node}")

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
        offset = 0
        while offset + 16 <= len(data):
            size, kind, *_ = _HEADER.unpack_from(data, offset)
            if kind == _PACKET:
                self._packet(data[offset + 20 : offset + size])
            offset += (size + 3) & ~3

    def _packet(self, body: bytes) -> None:
        attributes = {}
        offset = 0
        while offset + 4 <= len(body):
            size, kind = struct.unpack_from("=HH", body, offset)
            attributes[kind & 0x3FFF] = body[offset + 4 : offset + size]
            offset += (max(size, 4) + 3) & ~3
        prefix = attributes.get(10, b"").rstrip(b"\0").decode()
        packet = _parse(attributes.get(9, b""))
        if packet and prefix in self.meaning:
            self._report(packet, Refusal(self._node, self.meaning[prefix]))


def _parse(payload: bytes) -> Packet | None:
    """Addresses and ports of an IPv4 TCP or UDP packet."""
    if len(payload) < 24 or payload[0] >> 4 != 4 or payload[9] not in (6, 17):
        return None
    ports = struct.unpack_from("!HH", payload, (payload[0] & 15) * 4)
    source, destination = (str(IPv4Address(payload[at : at + 4])) for at in (12, 16))
    return Packet(source, ports[0], destination, ports[1])


def _attribute(kind: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)
