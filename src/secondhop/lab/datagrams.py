"""Datagrams: how the lab's pods answer them. The reply is written like whoami's, from the very
address that was asked.

Numbers are those of <linux/in.h> and <linux/in6.h>.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Protocol

from .netns import Namespace, bind_all
from .server import peer_name

_IP_TTL, _IP_PKTINFO, _IP_RECVTTL = 2, 8, 12
_PACKET_INFO = struct.Struct("=i4s4s")
_PACKET_INFO_6 = struct.Struct("=16si")
_MOST_BYTES = 65536


class Pod(Protocol):
    """Whom the answers are of."""

    pod: str

    def arrived(self, peer: tuple[str, int], ttl: int) -> None:
        """Something came from that address and port with that TTL."""
        ...


class Answers:
    """Answers every datagram to one port of a pod, in one family. Raises OSError if the port is
    taken."""

    def __init__(self, namespace: Namespace, family: int, port: int, pod: Pod) -> None:
        self._pod = pod
        self._socket = sock = namespace.socket(family, socket.SOCK_DGRAM)
        try:
            bind_all(sock, port)
        except OSError:
            sock.close()
            raise
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        asyncio.get_running_loop().add_reader(sock, self._read)

    def close(self) -> None:
        """Answer no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nothing is left to be read, or to be answered
            while True:
                _, told, _, peer = self._socket.recvmsg(_MOST_BYTES, 128)
                ttl, source = 0, []
                for level, kind, data in told:
                    if kind in (_IP_TTL, socket.IPV6_HOPLIMIT):
                        (ttl,) = struct.unpack("=i", data)
                    else:
                        source = [(level, kind, _from_there(level, data))]
                self._pod.arrived(peer[:2], ttl)
                said = f"Hostname: {self._pod.pod}\nRemoteAddr: {peer_name(peer)}\nTTL: {ttl}\n"
                self._socket.sendmsg([said.encode()], source, 0, peer)


def _from_there(level: int, info: bytes) -> bytes:
    """What makes an answer leave from the address that was asked, by whichever link."""
    if level == socket.IPPROTO_IPV6:
        address, _ = _PACKET_INFO_6.unpack(info)
        return _PACKET_INFO_6.pack(address, 0)
    _, _, asked = _PACKET_INFO.unpack(info)
    return _PACKET_INFO.pack(0, asked, bytes(4))
