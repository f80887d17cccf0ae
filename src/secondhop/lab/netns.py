"""Network namespaces as descriptors.

A socket belongs to the namespace it was created in, wherever it is used afterwards. So a thread
enters a namespace only for the moment in which it creates a socket or starts a program.
"""

from __future__ import annotations

import ctypes
import os
import socket
from types import TracebackType

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_HERE = "/proc/thread-self/ns/net"


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones (unshare(2); `os` has it from 3.12).

    Raises OSError: EPERM where the kernel or a security module forbids it, ENOSPC at a limit of
    /proc/sys/user, EINVAL in a process with several threads.
    """
    _check(_libc.unshare(flags))


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument. Raises OSError."""
    _check(_libc.prctl(option, value, 0, 0, 0))


def _setns(fd: int) -> None:
    _check(_libc.setns(fd, CLONE_NEWNET))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


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
            _setns(home)
            os.close(home)

    def __enter__(self) -> Namespace:
        self._back.append(os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC))
        _setns(self.fd)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        back = self._back.pop()
        _setns(back)
        os.close(back)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket that lives in this namespace."""
        with self:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
