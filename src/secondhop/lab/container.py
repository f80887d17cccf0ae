"""Containers: what runs for an image, and the built-in whoami, on the lab's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import UsageError
from ..model.cluster import Address
from .capture import Arrival, Arrivals, keep_syn, saved_ttl
from .log import Log
from .netns import FAMILIES, bind_all
from .rtnetlink import Netlink
from .whoami import Whoami
from .workloads import IMAGE, runs_whoami, settings

if TYPE_CHECKING:
    from .datagrams import Answers
    from .process import Place, Process

_BACKLOG = 1024
_MANY = 65536
_PATIENCE = 3600.0
"""The real whoami waits for ever; a connection held through an experiment must not tell."""
_GO_TERMINATED = 2
"""How a Go program ends on SIGTERM as the first process of its pid namespace."""


class Unavailable(Exception):
    """No program stands for this image. The text says what is available."""


class Container(Protocol):
    """One running container."""

    log: Log

    @property
    def program(self) -> Process | None:
        """Its first process; None for the built-in whoami."""
        ...

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to its first process."""
        ...


class Home:
    """A pod as its containers see it: network, names, addresses (one of each family that it has),
    and where what reaches it is noted."""

    def __init__(
        self,
        netlink: Netlink,
        pod: str,
        addresses: Sequence[Address],
        node: str,
        arrivals: Arrivals,
        shared: bool,
    ) -> None:
        self.netlink, self.pod, self.addresses = netlink, pod, addresses
        self.node, self.arrivals, self.host_network = node, arrivals, shared

    @property
    def families(self) -> list[int]:
        """AF_INET, AF_INET6, or both."""
        return [FAMILIES[address.version] for address in self.addresses]

    def arrived(self, peer: tuple[str, int], ttl: int) -> None:
        """Note with which TTL something came from that address and port."""
        if len(self.arrivals) >= _MANY:
            self.arrivals.clear()
        self.arrivals[peer] = Arrival(ttl, self.node, self.host_network)

    def place(self, inside: Process | None = None) -> Place:
        """Where a program of this pod runs."""
        from .process import Place  # the pods of most experiments run none

        return Place(self.netlink.namespace, self.pod, self.addresses, inside)


async def run(home: Home, spec: Mapping[str, Any], environ: Mapping[str, str]) -> Container:
    """Start a container by its spec. Raises Unavailable, and OSError where its command cannot be
    executed."""
    image, command = spec.get("image") or "", spec.get("command") or []
    args = spec.get("args") or []
    if runs_whoami(image, command):
        ports = (each for each in spec.get("ports") or [] if each.get("protocol") == "UDP")
        udp = sorted({int(port["containerPort"]) for port in ports})
        return WhoamiContainer(home, [*command[1:], *args], environ, udp)
    if not command:
        raise Unavailable(
            f'image "{image}" cannot be pulled: the lab has no registry. Available: {IMAGE} (built'
            " in), and any program of this machine: give the container a `command:`"
        )
    from .program_container import ProgramContainer

    return await ProgramContainer.begin(home, [*command, *args], environ, _folder(spec))


def _folder(spec: Mapping[str, Any]) -> str:
    return spec.get("workingDir") or "/"


class WhoamiContainer:
    """The built-in whoami: a listener in the pod's network, answered by this process.

    udp: ports on which it answers datagrams as well, which the real one does not.
    """

    program: Process | None = None

    def __init__(
        self, home: Home, args: Sequence[str], environ: Mapping[str, str], udp: Sequence[int] = ()
    ) -> None:
        self._home = home
        self.log = Log()
        self._accepting: set[asyncio.Task[Any]] = set()
        self._connections: set[asyncio.WriteTransport] = set()
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._listeners: list[socket.socket] = []
        self._answers: list[Answers] = []
        try:
            config = settings(home.pod, args, list(environ.items()))
        except UsageError as error:
            self._say(error.message)
            self._end(2)
            return
        whoami = Whoami(config, home.netlink.addresses, self._say, _PATIENCE)
        for kind, port in (("tcp", config.port), *(("udp", port) for port in udp)):
            try:
                for family in home.families:
                    self._open(kind, family, port, whoami)
            except OSError as error:
                self._say(f"listen {kind} :{port}: bind: {os.strerror(error.errno or 0).lower()}")
                self._end(1)
                return

    async def wait(self) -> int:
        """See Container."""
        return await asyncio.shield(self._status)

    def signal(self, number: int) -> None:
        """See Container."""
        if number == signal.SIGKILL:
            self._end(128 + number)
        elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._end(_GO_TERMINATED)

    def _open(self, kind: str, family: int, port: int, whoami: Whoami) -> None:
        """Listen on a port of every address of one family."""
        if kind == "udp":
            from .datagrams import Answers

            self._answers.append(Answers(self._home.netlink.namespace, family, port, self._home))
            return
        listener = self._home.netlink.namespace.socket(family, socket.SOCK_STREAM)
        self._listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind_all(listener, port)
        keep_syn(listener)
        listener.listen(_BACKLOG)
        accept = functools.partial(self._accept, listener, whoami)
        asyncio.get_running_loop().add_reader(listener, accept)

    def _accept(self, listener: socket.socket, whoami: Whoami) -> None:
        """Hand a connection to whoami, and note with which TTL its SYN came."""
        try:
            connection, peer = listener.accept()
        except OSError:  # the client has gone again
            return
        self._home.arrived(peer[:2], saved_ttl(connection))
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(whoami, connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _serve(self, whoami: Whoami, connection: socket.socket) -> None:
        protocol = whoami()
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol, connection
        )
        self._connections = {t for t in self._connections if not t.is_closing()}
        self._connections.add(transport)

    def _say(self, line: str) -> None:
        now = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime())
        self.log.write(f"{now} {line}\n".encode(errors="replace"))

    def _end(self, status: int) -> None:
        """As a process that ends: its sockets close."""
        if self._status.done():
            return
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            with contextlib.suppress(OSError):  # UDP has no such thing
                listener.shutdown(socket.SHUT_RDWR)  # a child on its way to exec may have it, too
            listener.close()
        for answers in self._answers:
            answers.close()
        for task in self._accepting:
            task.cancel()
        for transport in self._connections:
            transport.abort()  # as a kernel closes what a process had open
        self.log.end()
        self._status.set_result(status)
