"""Network namespaces as descriptors.

A socket belongs to the namespace it was created in, wherever it is used afterwards. So a thread
enters a namespace only for the moment in which it creates a socket or starts a program.
"""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from types import TracebackType

from ..model.cluster import Address
from .linux import CLONE_NEWNET, setns, unshare

_HERE = "/proc/thread-self/ns/net"
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
"""By the version of an address."""


class Namespace:
    """A network namespace, open as long as `fd` is. `with namespace:` runs the block inside it.

    Entering concerns the calling thread only; the block must not await.
    """

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self._back: list[int] = []

    @classmethod
    def current(cls, name: str) -> Namespace:
        """The namespace that this thread is in."""
        return cls(name, os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def create(cls, name: str) -> Namespace:
        """A new one, empty but for a loopback device that is down. Raises OSError."""
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            return cls.current(name)
        finally:
            setns(home, CLONE_NEWNET)
            os.close(home)

    def __enter__(self) -> Namespace:
        self._back.append(os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC))
        setns(self.fd, CLONE_NEWNET)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        back = self._back.pop()
        setns(back, CLONE_NEWNET)
        os.close(back)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket that lives in this namespace."""
        with self:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)

    def source_towards(self, address: Address) -> Address | None:
        """The address that the kernel sends from to another one; None if there is no way."""
        with self.socket(FAMILIES[address.version], socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((str(address), 9))
            except OSError:
                return None
            return ip_address(sock.getsockname()[0])

    def close(self) -> None:
        """Let go of it: without a process or socket inside, the kernel takes it down."""
        os.close(self.fd)


def bind_all(sock: socket.socket, port: int) -> None:
    """Bind a socket to a port of every address of its own family, and of no other."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::" if sock.family == socket.AF_INET6 else "0.0.0.0", port))
