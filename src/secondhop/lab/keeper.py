"""A lab that stays: a process in the background that is its caller, and cleans up after it.

    `lab up` ── keeper ── guard ── supervisor: API, controllers, kubelets, proxies

The keeper holds the lock of the lab's folder. When the supervisor or the guard ends, it removes the
folder and notes why; when it is killed itself, the guard does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from ..errors import EnvironmentUnable, LabError, SecondhopError, UsageError
from .descriptors import inheritable
from .sandbox import Sandbox, no_interrupt
from .state import State

_START_SECONDS = 120.0
_END_SECONDS = 10.0
_FIRST_PORT, _PORTS = 20443, 200
_READY = b'"ready": true'
_KILLED = "its keeper was killed"
_FREE = "Free what is short (disk, processes, open files) and try again."


def up(
    state: State, main: Callable[[socket.socket, socket.socket, socket.socket], None]
) -> Iterator[Mapping[str, Any]]:
    """Start a lab in the background: what it says until it is ready, the last message being that.

    main(channel, control, api): the supervisor's life, with its end of the channel, over which it
    sends JSON lines, and two listening sockets of this machine. Raises what it raises.
    """
    lock: int | None = None
    try:
        with no_interrupt():  # between the folder and knowing that it is ours
            lock = state.create()
        control, api = _listen(state)
        ours, theirs = socket.socketpair()
        with ours:
            starting = os.fork()
            if starting == 0:
                ours.close()
                _background(state, theirs, lambda channel: main(channel, control, api))
            for each in (theirs, control, api):
                each.close()
            os.waitpid(starting, 0)
            ours.settimeout(_START_SECONDS)
            yield from _told(ours)
    except BaseException:
        if lock is not None:
            down(state)
            state.remove()
        raise
    finally:
        if lock is not None:
            os.close(lock)


def down(state: State) -> bool:
    """Take a lab down and wait until it is gone; whether it was up."""
    keeper = state.keeper()
    if not keeper:
        return False
    try:
        pidfd = os.pidfd_open(keeper)
    except ProcessLookupError:
        return True
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(pidfd, number)
            if select.select([pidfd], [], [], _END_SECONDS)[0]:
                return True
    except ProcessLookupError:
        return True
    finally:
        os.close(pidfd)
    raise LabError(f"process {keeper} does not end", f"End it by hand: `kill -9 {keeper}`.")


def _told(channel: socket.socket) -> Iterator[Mapping[str, Any]]:
    """The messages that arrive until `ready`. Raises what they tell of."""
    why = "the lab ended while it was being built"
    with channel.makefile("rb") as lines, contextlib.suppress(ConnectionError):
        try:
            for line in lines:
                message = json.loads(line)
                if "error" in message:
                    kind = {2: UsageError, 3: EnvironmentUnable}.get(message["exitCode"], LabError)
                    raise kind(message["error"], message["remedy"])
                yield message
                if message.get("ready"):
                    return
        except TimeoutError:
            why = f"the lab has said nothing for {_START_SECONDS:.0f} s"
    raise LabError(why, "Run `secondhop doctor`, then try again.")


def _listen(state: State) -> tuple[socket.socket, socket.socket]:
    """The control socket, and a port of 127.0.0.1, the same for a name whenever it is free:
    kubectl remembers what it has seen at an address."""
    control = socket.socket(socket.AF_UNIX)
    with state.address() as address:
        control.bind(address)
    control.listen(16)
    api = socket.socket(socket.AF_INET)
    api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    start = sum(state.name.encode()) % _PORTS
    for port in [*(_FIRST_PORT + (start + n) % _PORTS for n in range(_PORTS)), 0]:
        try:
            api.bind(("127.0.0.1", port))
            break
        except OSError:
            continue
    api.listen(128)
    return control, api


def _background(
    state: State, caller: socket.socket, main: Callable[[socket.socket], None]
) -> NoReturn:
    """From here on nothing is left of the caller but its end of a socket."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        for descriptor in inheritable():
            os.close(descriptor)
        os.chdir("/")
        _keep(state, caller, main)
    except OSError as error:
        _refuse(caller, EnvironmentUnable(f"the system refuses: {error}", _FREE))
    finally:
        os._exit(0)


def _keep(state: State, caller: socket.socket, main: Callable[[socket.socket], None]) -> None:
    """The keeper's life."""
    ended: list[int] = []
    waking, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, frame: ended.append(number))
    with open(state.folder / "lock", "w") as lock:
        lock.write(f"{os.getpid()}\n")

    def orphaned() -> None:
        state.leave_note(_KILLED)
        state.remove()

    sandbox = Sandbox(main, orphaned)
    last = b""
    try:
        sandbox.born()
        told = sandbox.channel.fileno()
        watched = {told, waking, caller.fileno()}
        while not ended:
            readable = select.select(watched, [], [])[0]
            if told in readable:
                data = sandbox.channel.recv(65536)
                if not data:
                    break
                last = (last + data)[-65536:]
                _pass_on(caller, data)
            elif caller.fileno() in readable:  # it goes; before the lab is ready, it gives up
                watched.remove(caller.fileno())
                if _READY not in last:
                    ended.append(0)
    except SecondhopError as error:
        _refuse(caller, error)
        ended.append(0)
    finally:
        sandbox.close()
        if not ended:
            state.leave_note(_why(last))
        state.remove()


def _refuse(caller: socket.socket, error: SecondhopError) -> None:
    refusal = {"error": error.message, "remedy": error.remedy, "exitCode": error.exit_code}
    _pass_on(caller, json.dumps(refusal).encode() + b"\n")


def _pass_on(caller: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it has heard that the lab is ready, and has gone
        caller.sendall(data)


def _why(last: bytes) -> str:
    """The reason in the supervisor's last message, if it still sent one."""
    lines = last.decode(errors="replace").splitlines()
    message = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return str(message.get("error") or "its process was killed")
