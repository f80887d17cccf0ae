"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Callable

from ..dataplane import node as dataplane
from ..dataplane.iptables import INVALID_COUNTER, LOCALHOST_COUNTER
from ..dataplane.ruleset import Ruleset, transactions
from ..errors import EnvironmentUnable, LabError
from ..model.cluster import Cluster
from .capture import Packet, Refusal, RefusalLog, instrument
from .netlink import NETLINK_NETFILTER, create_counters, messages
from .netns import Namespace

_SECONDS = 30.0
_NFTABLES_GROUP = 7
_NEW_GENERATION = 10 << 8 | 15
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def restore_program() -> str:
    """Path of iptables-restore, the nft flavour where both exist; ordinary users lack sbin in PATH.

    Raises EnvironmentUnable if there is none.
    """
    path = os.environ.get("PATH", "") + _SBIN
    for name in ("iptables-nft-restore", "iptables-restore"):
        if found := shutil.which(name, path=path):
            return found
    raise EnvironmentUnable(
        "iptables-restore is not installed",
        "Install it: `sudo apt-get install iptables` (Debian, Ubuntu), or run `make setup`.",
    )


class NodeProxy:
    """One node's rules: what is loaded, and the way to the next state."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self._namespace = namespace
        self._loaded: Ruleset = {}
        self._log = RefusalLog(namespace, report)
        self._switches = _Switches(namespace)
        self._leaving: set[asyncio.Task[None]] = set()
        self._counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError."""
        node = cluster.node(self._namespace.name)
        wanted = dataplane.rules(cluster, node, counters=self._counters)
        logged, meaning = instrument(wanted)
        self._log.meaning |= meaning
        for text in transactions(self._loaded, logged):
            await self._restore(text)
        self._loaded = logged
        self._log.meaning = meaning

    async def _restore(self, text: str) -> None:
        """One iptables-restore, until the kernel has switched. The program then takes several times
        as long to end, because the kernel makes it wait for the old rules' grace period."""
        switched = self._switches.next(text.count("\nCOMMIT\n"))
        leaving = asyncio.create_task(Restore(self._namespace, text).ended())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.wait({switched, leaving}, return_when="FIRST_COMPLETED")
        if not switched.done():
            await leaving


class _Switches:
    """Hears of every generation of rules that a node's kernel switches to: one for each COMMIT."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 1 << (_NFTABLES_GROUP - 1)))
        self._left = 0
        self._switched: asyncio.Future[None] | None = None
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def next(self, count: int) -> asyncio.Future[None]:
        """A future that completes with the `count`th switch from now on."""
        while self._heard() is not None:
            pass  # what an earlier restore was not waited for to say
        self._left = count
        self._switched = asyncio.get_running_loop().create_future()
        return self._switched

    def _heard(self) -> int | None:
        """How many switches the next message tells of; None if there is no message."""
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError:  # overrun, some are lost: then the program's end tells
            return 0
        return sum(kind == _NEW_GENERATION for kind, _, _ in messages(data))

    def _read(self) -> None:
        self._left -= self._heard() or 0
        if self._left <= 0 and self._switched and not self._switched.done():
            self._switched.set_result(None)


class Restore:
    """`iptables-restore --noflush -w` at work in a namespace.

    Its rules and its complaints are memory files: no pipe can fill up.
    """

    def __init__(self, namespace: Namespace, text: str) -> None:
        self._name = namespace.name
        self._said = os.memfd_create("said")
        rules = os.memfd_create("rules")
        try:
            os.write(rules, text.encode())
            os.lseek(rules, 0, os.SEEK_SET)
            with namespace:
                self._process = subprocess.Popen(
                    [restore_program(), "--noflush", "-w"],
                    stdin=rules,
                    stdout=self._said,
                    stderr=self._said,
                )
        finally:
            os.close(rules)

    async def ended(self) -> None:
        """Wait for the end without blocking the loop, then `finish`."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, over.cancel)
        try:
            await asyncio.wait({over}, timeout=_SECONDS)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self.finish(0.0)

    def finish(self, seconds: float = _SECONDS) -> None:
        """Wait that long for the end. To be called once.

        Raises LabError with the program's complaint if it refused the rules or did not end.
        """
        hung = False
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
            self._process.kill()
            status = self._process.wait()
        complaint = os.pread(self._said, 4096, 0).decode(errors="replace").strip()
        os.close(self._said)
        if hung:
            raise LabError(
                f"iptables-restore did not end in {_SECONDS:.0f} s on {self._name}",
                f"Try by hand what {restore_program()} does here.",
            )
        if status != 0:
            raise LabError(
                f"iptables-restore refused the rules of {self._name}: {complaint or status}",
                "Run `secondhop doctor`; if it finds nothing, please report this message.",
            )
