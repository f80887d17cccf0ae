"""Birth of the lab's namespaces, and the one process whose death is the clean-up.

    caller ── guard ── supervisor (pid 1 of its own pid namespace)

The guard enters new user, pid, network, mount and UTS namespaces and forks the supervisor, which
is then the first process of the pid namespace: when it ends, by any signal, the kernel ends every
other process in there, and with the last descriptor go the network namespaces and what is in them.
Each of the two dies with its parent (PDEATHSIG), so whatever kills the caller kills the lab; the
guard of a lab that stays cleans up after its caller first.
Root takes the same road as everybody else.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from ..errors import EnvironmentUnable
from .linux import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    prctl,
    unshare,
)

_NAMESPACES = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS
_PR_SET_PDEATHSIG = 1
_LAST_SECONDS = 2.0
_ARMED, _GO, _REFUSED = b"a", b"g", b"!"
_HELLO = struct.Struct("!cI")
"""What the caller hears first: GO and the supervisor's pid, or REFUSED and an errno."""
_LOST = _HELLO.pack(_REFUSED, errno.ECHILD)


class Sandbox:
    """A supervisor running `main(channel)` in namespaces of its own, and our end of the channel.

    The channel is a stream socket; `main` gets the other end, and must itself report what goes
    wrong in it: it has no other way out. Call `born` before using the channel. orphaned: what the
    guard does last when the caller was killed.
    """

    def __init__(
        self, main: Callable[[socket.socket], None], orphaned: Callable[[], None] | None = None
    ) -> None:
        self.channel, theirs = socket.socketpair()
        caller = os.getpid()
        self._supervisor: int | None = None
        self._asked = False
        with no_interrupt():
            self._guard = os.fork()
            if self._guard == 0:
                self.channel.close()
                _run(_guard, theirs, caller, main, orphaned)
        theirs.close()

    def born(self) -> int:
        """Wait for the supervisor; its process id, as the caller sees it.

        Raises EnvironmentUnable where the kernel refuses the namespaces.
        """
        self._asked = True  # first: it is said only once, and an interrupt may come between
        hello = self.channel.recv(_HELLO.size, socket.MSG_WAITALL) or _LOST
        answer, number = _HELLO.unpack(hello)
        if answer != _GO:
            raise refused(number)
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._supervisor = os.pidfd_open(number)
        return int(number)

    def close(self) -> None:
        """End the supervisor, and with it everything that it holds; wait until it is gone.

        Its parent, the guard, stays to reap it and then ends by itself: the first process of some
        containers would leave it a zombie.
        """
        if not self._guard:
            return
        with contextlib.suppress(EnvironmentUnable, OSError):
            if not self._asked:
                self.channel.settimeout(_LAST_SECONDS)
                self.born()
        self.channel.close()
        if self._supervisor is None:
            os.kill(self._guard, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._supervisor, signal.SIGKILL)
            os.close(self._supervisor)
        _reap(self._guard)
        self._guard = 0


def _reap(child: int) -> None:
    """Wait for a child that is about to end; if it does not, end it."""
    deadline = time.monotonic() + _LAST_SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Ctrl-C waits: a child must not wake up in its parent's handler."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def refused(number: int) -> EnvironmentUnable:
    """The error for a kernel that refused the namespaces with this errno."""
    return EnvironmentUnable(
        "this machine refuses new user and network namespaces: "
        f"{os.strerror(number)} ({errno.errorcode.get(number, number)})",
        "Run `secondhop doctor`: it names what stands in the way and the remedy.",
    )


def enter_namespaces() -> None:
    """Put this single-threaded process (its future children, as to pids) into new namespaces, as
    root of a user namespace that maps only the present user. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(_NAMESPACES)
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {uid} 1"),
        ("gid_map", f"0 {gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as mapping:
            mapping.write(text)


def die_with_parent() -> None:
    """SIGKILL for this process when its parent('s forking thread) ends."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _guard(
    channel: socket.socket,
    caller: int,
    main: Callable[[socket.socket], None],
    orphaned: Callable[[], None] | None,
) -> None:
    try:
        enter_namespaces()
    except OSError as error:
        channel.sendall(_HELLO.pack(_REFUSED, error.errno or 0))
        return
    die_with_parent()  # after unshare: a change of credentials clears it
    if os.getppid() != caller:
        return
    ours, theirs = socket.socketpair()
    supervisor = os.fork()
    if supervisor == 0:
        ours.close()
        _run(_supervisor, channel, theirs, main)
    channel.close()
    theirs.close()
    if orphaned is not None:
        _outlive_the_caller(caller, supervisor, orphaned)
    if ours.recv(1) == _ARMED:
        ours.sendall(_HELLO.pack(_GO, supervisor))
    os.waitpid(supervisor, 0)


def _outlive_the_caller(caller: int, supervisor: int, orphaned: Callable[[], None]) -> None:
    """When the caller is killed, end the supervisor and do what is left to be done."""

    def alone(*_: object) -> None:
        os.kill(supervisor, signal.SIGKILL)
        orphaned()
        os._exit(0)

    signal.signal(signal.SIGUSR1, alone)
    prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != caller:
        alone()


def _supervisor(
    channel: socket.socket, guard: socket.socket, main: Callable[[socket.socket], None]
) -> None:
    # getppid() is 0 across a pid namespace: a guard that died before PDEATHSIG was armed is
    # recognised by its silence instead.
    die_with_parent()
    guard.sendall(_ARMED)
    go = guard.recv(_HELLO.size, socket.MSG_WAITALL)
    if go:
        channel.sendall(go)
        main(channel)


def _run(body: Callable[..., None], *arguments: object) -> NoReturn:
    """Run a forked child's body; it must never return into the caller's code.

    The child lets go of the caller's standard streams: whoever reads those of the caller must not
    have to wait until the kernel has taken the lab down.
    """
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP):  # what the caller does then is its affair
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to answer
        gc.freeze()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        body(*arguments)
    finally:
        os._exit(0)
