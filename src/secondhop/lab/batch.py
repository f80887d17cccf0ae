"""Netlink requests that queue up and go together: a lab of a hundred pods is thousands of them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping

from ..errors import LabError
from .netlink import ACK, DONE, DUMP, ERROR, HEADER, REQUEST, messages
from .netns import Namespace

_CHUNK = 64 * 1024


class Batch:
    """One routing socket inside a namespace; requests queue up until `commit`."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        with namespace:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._socket.settimeout(10)
        self._queue: list[tuple[bytes, str]] = []
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def commit(self) -> None:
        """Send what has queued up and wait until the kernel did it all.

        Raises LabError naming the first request that the kernel refused.
        """
        while self._queue:
            sent: dict[int, str] = {}
            block = b""
            while self._queue and len(block) < _CHUNK:
                message, what = self._queue.pop(0)
                last = not self._queue or len(block) + len(message) >= _CHUNK
                self._sequence += 1
                size, kind, flags, _, _ = HEADER.unpack_from(message)
                flags |= ACK if last else 0
                block += HEADER.pack(size, kind, flags, self._sequence, 0)
                block += message[HEADER.size :]
                sent[self._sequence] = what
            self._socket.send(block)
            self._await(sent)

    def _await(self, sent: Mapping[int, str]) -> None:
        while True:
            for kind, sequence, payload in messages(self._socket.recv(_CHUNK)):
                if kind != ERROR or sequence not in sent:
                    continue
                number = -struct.unpack_from("=i", payload)[0]
                if number:
                    self._queue.clear()
                    raise LabError(
                        f"the kernel refused to {sent[sequence]} in {self.namespace.name}: "
                        f"{os.strerror(number)} ({errno.errorcode.get(number, number)})",
                        "Run `secondhop doctor`: it tries each part by itself.",
                    )
                if sequence == max(sent):
                    return

    def _add(self, kind: int, flags: int, body: bytes, what: str) -> None:
        head = HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 0, 0)
        self._queue.append((head + body + b"\0" * (-len(body) % 4), what))

    def _dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        self._sequence += 1
        head = HEADER.pack(HEADER.size + len(body), kind, REQUEST | DUMP, self._sequence, 0)
        self._socket.send(head + body)
        while True:
            for kind, sequence, payload in messages(self._socket.recv(_CHUNK)):
                if sequence != self._sequence:
                    continue
                if kind == DONE:
                    return
                yield payload
