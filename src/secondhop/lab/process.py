"""Programs of this machine inside pods: started in namespaces of their own, watched, ended."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import os
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from ..model.cluster import Address
from . import linux, root
from .descriptors import inheritable
from .netns import Namespace

_INSIDE = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
_FAILURE = struct.Struct("=I?")
"""errno, and whether it was the program that could not be executed."""
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
"""What programs in containers may usually do (linux/capability.h): not mount, nor configure."""
_OWN_PIDS = "/proc/self/ns/pid"


class Place(NamedTuple):
    """Where a program runs. inside: a program whose namespaces it joins, or None for new ones."""

    network: Namespace
    hostname: str
    addresses: Sequence[Address]
    inside: Process | None = None


class Streams(NamedTuple):
    """Descriptors of its standard streams; a terminal is all three, and becomes its own."""

    stdin: int
    stdout: int
    stderr: int
    terminal: bool = False


class Process:
    """A running program, the child of this process. With namespaces of its own it is pid 1 in
    there: it gets only the signals that it handles, and all of its children end with it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = loop.create_future()
        loop.add_reader(self.pidfd, self._ended)

    async def wait(self) -> int:
        """Its exit status, 128 + the number of the signal that ended it."""
        return await asyncio.shield(self._status)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._status.done()

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.running:
            signal.pidfd_send_signal(self.pidfd, number)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self.pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pidfd)
        self._status.set_result(status if status >= 0 else 128 - status)


async def start(
    place: Place, command: Sequence[str], environ: Mapping[str, str], folder: str, streams: Streams
) -> Process:
    """Start a program. Raises OSError as execve did: FileNotFoundError, PermissionError …"""
    hearing, telling = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        try:
            pid = _fork_inside(place)
            if pid == 0:
                _child(place, command, environ, folder, streams, telling)
        finally:
            os.close(telling)
        program = Process(pid)
        try:
            failure = await _read(hearing)
        except BaseException:
            program.signal(signal.SIGKILL)
            raise
    finally:
        os.close(hearing)
    if failure:
        await program.wait()
        number, executing = _FAILURE.unpack(failure)
        said = os.strerror(number)
        if not executing:
            said += " (while its namespaces were made)"
        raise OSError(number, said, command[0])
    return program


def _fork_inside(place: Place) -> int:
    """Fork a child into the pid namespace of the program that it joins, or into a new one."""
    if place.inside is not None and not place.inside.running:
        raise ProcessLookupError(errno.ESRCH, "the container has ended")
    home = os.open(_OWN_PIDS, os.O_RDONLY | os.O_CLOEXEC)
    child = False
    try:
        if place.inside is not None:
            linux.setns(place.inside.pidfd, linux.CLONE_NEWPID)
        else:
            linux.unshare(linux.CLONE_NEWPID)
        pid = os.fork()
        child = pid == 0
        return pid
    finally:
        if not child:  # a child cannot go back
            linux.setns(home, linux.CLONE_NEWPID)
        os.close(home)


def _child(
    place: Place,
    command: Sequence[str],
    environ: Mapping[str, str],
    folder: str,
    streams: Streams,
    telling: int,
) -> NoReturn:
    """From fork to exec. It must never return into the caller's code."""
    executing = False
    try:
        gc.disable()
        for descriptor in inheritable():
            os.set_inheritable(descriptor, False)
        _enter(place)
        linux.limit_capabilities(_CAPABILITIES)
        os.setsid()
        for number, stream in enumerate(streams[:3]):
            os.dup2(stream, number)
        if streams.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        executing = True
        os.chdir(folder)
        os.execvpe(command[0], list(command), dict(environ))
    except (OSError, ValueError) as error:
        why = error.errno if isinstance(error, OSError) else None
        os.write(telling, _FAILURE.pack(why or errno.EINVAL, executing))
    finally:
        os._exit(127)


def _enter(place: Place) -> None:
    if place.inside is not None:
        linux.setns(place.inside.pidfd, _INSIDE | linux.CLONE_NEWNET)
        os.chdir("/")
        return
    linux.setns(place.network.fd, linux.CLONE_NEWNET)
    linux.unshare(_INSIDE)
    root.build(place.hostname, place.addresses)
    linux.sethostname(place.hostname)


async def _read(descriptor: int) -> bytes:
    """What the other end writes until it closes."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
        return os.read(descriptor, 64)
    finally:
        loop.remove_reader(descriptor)
