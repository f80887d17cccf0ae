"""The rules that packets meet on a node, as the kernel itself reports them (`nftrace`).

A table of our own marks every packet of one protocol before any other hook sees it. The table is
owned by the socket that made it: when that closes, by whatever end, the kernel deletes the table,
and nothing is left. iptables-nft's rules live in nf_tables too, so one way serves both modes.
Numbers are those of <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from ..errors import EnvironmentUnable
from ..model.cluster import Protocol
from ..model.trace import Met, RuleEvent, RuleKey
from .netlink import ACK, ERROR, HEADER, NETLINK_NETFILTER, REQUEST, attribute, attributes, messages
from .netns import Namespace

TABLE = "secondhop-trace"

_SUBSYSTEM = 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _TRACE = 0, 3, 6, 17
_BEGIN, _END = 16, 17
_CREATE, _APPEND = 0x400, 0x800
_GROUP = 9
_INET = 1
_OWNER = 2
_PREROUTING, _OUTPUT = 0, 3
_BEFORE_ALL = -(1 << 30)
_NFTRACE, _L4PROTO = 12, 16
_REGISTER = 1
_BUFFER = 8 * 1024 * 1024
_PROTOCOLS: dict[Protocol, int] = {"TCP": 6, "UDP": 17}

_POLICY, _RETURN, _RULE = 1, 2, 3
_VERDICTS = {
    0: "drop",
    1: "accept",
    3: "queue",
    -1: "continue",
    -2: "break",
    -3: "jump",
    -4: "goto",
    -5: "return",
}
_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
_CT_STATES = {1: "INVALID", 2: "ESTABLISHED", 4: "RELATED", 8: "NEW", 64: "UNTRACKED"}


class RuleTrace:
    """Listens to one node from now on, until closed. Raises EnvironmentUnable."""

    def __init__(self, namespace: Namespace, protocol: Protocol) -> None:
        self._node = namespace.name
        self._devices = dict(_devices(namespace))
        self._owner = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._listener = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._listener.bind((0, 1 << (_GROUP - 1)))
            _transact(self._owner, _marking(_PROTOCOLS[protocol]))
        except OSError as error:
            self.close()
            raise EnvironmentUnable(
                f"node {self._node}'s kernel does not let its rules be traced: {error.strerror}",
                "It takes Linux 5.12 or newer with nf_tables. `secondhop explain --to` predicts.",
            ) from None

    def close(self) -> None:
        """Stop; the kernel deletes the table with its owner. It takes its time: not to be called in
        an event loop."""
        self._owner.close()
        self._listener.close()

    def read(self) -> tuple[list[RuleEvent], bool]:
        """What has been reported since, and whether some of it was lost."""
        events: list[RuleEvent] = []
        lost = False
        while True:
            try:
                data = self._listener.recv(1 << 16)
            except BlockingIOError:
                return events, lost
            except OSError as error:
                lost = lost or error.errno == errno.ENOBUFS
                continue
            for kind, _, payload in messages(data):
                if kind == _SUBSYSTEM << 8 | _TRACE:
                    event = self._event(payload[0], attributes(payload[4:]))
                    if event.met.rule.table != TABLE:
                        events.append(event)

    def _event(self, family: int, found: dict[int, bytes]) -> RuleEvent:
        kind = _number(found.get(4))
        verdict = attributes(found.get(5, b""))
        code = struct.unpack("!i", verdict[1])[0] if 1 in verdict else 1
        if kind == _POLICY:
            code = _number(found.get(16))
        handle = struct.unpack("!Q", found[3])[0] if 3 in found else 0
        rule = RuleKey(
            self._node,
            _FAMILIES.get(family, str(family)),
            _text(found.get(1)),
            _text(found.get(2)),
            handle if kind == _RULE else 0,
        )
        return RuleEvent(
            Met(rule, _text(verdict.get(2))),
            _number(found.get(6)),
            _VERDICTS.get(code, str(code)) if kind != _RETURN else "return",
            self._devices.get(_number(found.get(10)), ""),
            self._devices.get(_number(found.get(12)), ""),
            _CT_STATES.get(_number(found.get(21)), ""),
            found.get(8, b""),
            found.get(9, b""),
        )


def _devices(namespace: Namespace) -> list[tuple[int, str]]:
    with namespace:
        return socket.if_nameindex()


def _marking(protocol: int) -> bytes:
    """The batch that makes the table: `meta l4proto N meta nftrace set 1` before all else."""
    table = attribute(1, TABLE.encode() + b"\0")
    body = [_message(_NEW_TABLE, table + attribute(2, struct.pack("!I", _OWNER)), _CREATE)]
    rule = b"".join(
        attribute(1 | _NESTED, attribute(1, name + b"\0") + attribute(2 | _NESTED, data))
        for name, data in (
            (b"meta", _u32(1, _REGISTER) + _u32(2, _L4PROTO)),
            (b"cmp", _u32(1, _REGISTER) + _u32(2, 0) + _value(3, bytes([protocol]))),
            (b"immediate", _u32(1, _REGISTER) + _value(2, b"\1")),
            (b"meta", _u32(2, _NFTRACE) + _u32(3, _REGISTER)),
        )
    )
    for name, hook in ((b"prerouting", _PREROUTING), (b"output", _OUTPUT)):
        where = _u32(1, hook) + attribute(2, struct.pack("!i", _BEFORE_ALL))
        chain = attribute(3, name + b"\0") + attribute(4 | _NESTED, where)
        body.append(_message(_NEW_CHAIN, table + chain + attribute(7, b"filter\0"), _CREATE))
        into = table + attribute(2, name + b"\0") + attribute(4 | _NESTED, rule)
        body.append(_message(_NEW_RULE, into, _CREATE | _APPEND))
    return b"".join([_edge(_BEGIN), *body, _edge(_END)])


_NESTED = 0x8000


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value))


def _value(kind: int, value: bytes) -> bytes:
    return attribute(kind | _NESTED, attribute(1, value))


def _message(kind: int, body: bytes, flags: int = 0) -> bytes:
    head = struct.pack("!BBH", _INET, 0, 0)
    size = HEADER.size + len(head) + len(body)
    return HEADER.pack(size, _SUBSYSTEM << 8 | kind, REQUEST | ACK | flags, kind, 0) + head + body


def _edge(kind: int) -> bytes:
    head = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
    return HEADER.pack(HEADER.size + len(head), kind, REQUEST, 0, 0) + head


def _transact(sock: socket.socket, batch: bytes) -> None:
    sock.send(batch)
    acknowledged = 0
    while acknowledged < 5:
        for kind, _, payload in messages(sock.recv(1 << 16)):
            if kind == ERROR:
                acknowledged += 1
                number = -struct.unpack_from("=i", payload)[0]
                if number:
                    raise OSError(number, os.strerror(number))


def _number(data: bytes | None) -> int:
    return int.from_bytes(data or b"")


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")
