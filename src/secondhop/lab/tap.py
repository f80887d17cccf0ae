"""Packets as they pass the interfaces of a namespace, each with the moment at which it did.

One socket hears all interfaces of its namespace, so the order within one is the kernel's; the clock
is one for all. Numbers are those of <linux/if_packet.h> and <asm-generic/socket.h>.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import time

from ..errors import LabError
from ..model.trace import Frame
from .netns import Namespace

_ALL_PROTOCOLS = socket.htons(3)
_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("=qq")
_SPACE = socket.CMSG_SPACE(_TIME.size)
_BUFFER = 8 * 1024 * 1024
_LONGEST = 1 << 16
_BILLION = 1_000_000_000
_CLOCK_SECONDS = 2.0


class Tap:
    """Listens from now on, until closed. place: what its frames are said to be from."""

    def __init__(self, place: str, namespace: Namespace) -> None:
        self.place = place
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, _ALL_PROTOCOLS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def read(self) -> tuple[list[Frame], bool]:
        """What has passed since, in order, and whether some of it was lost."""
        frames: list[Frame] = []
        lost = False
        while True:
            try:
                data, ancillary, _, address = self._socket.recvmsg(_LONGEST, _SPACE)
            except BlockingIOError:
                return frames, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            seconds, nanoseconds = _TIME.unpack(ancillary[0][2])
            moment = seconds * _BILLION + nanoseconds
            frames.append(Frame(moment, self.place, address[0], address[2] == _OUTGOING, data))

    def close(self) -> None:
        """Stop. The kernel takes its time: not to be called in an event loop."""
        self._socket.close()


async def stamped(namespace: Namespace) -> None:
    """Wait until the kernel stamps packets as they pass: it begins a moment after the first socket
    asked for it, and until then stamps them as they are read. Raises LabError."""
    deadline = time.monotonic() + _CLOCK_SECONDS
    with (
        namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receiver.bind(("127.0.0.1", 0))
        while time.monotonic() < deadline:
            sender.sendto(b"?", receiver.getsockname())
            passed = time.time_ns()
            await asyncio.sleep(0.0005)
            _, ancillary, _, _ = receiver.recvmsg(1, _SPACE)
            seconds, nanoseconds = _TIME.unpack(ancillary[0][2])
            if seconds * _BILLION + nanoseconds <= passed:
                return
    raise LabError("this kernel does not stamp packets", "Try again on a quieter machine.")
