"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable

from ..dataplane import node as dataplane
from ..dataplane.iptables import INVALID_COUNTER, LOCALHOST_COUNTER
from ..dataplane.ruleset import Ruleset, transactions
from ..errors import EnvironmentUnable, LabError
from ..model.cluster import Cluster
from .capture import Packet, Refusal, RefusalLog, instrument
from .netlink import create_counters
from .netns import Namespace

_SECONDS = 30.0
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
        self._counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError."""
        node = cluster.node(self._namespace.name)
        wanted = dataplane.rules(cluster, node, counters=self._counters)
        logged, meaning = instrument(wanted)
        self._log.meaning |= meaning
        for text in transactions(self._loaded, logged):
            await restore(self._namespace, text)
        self._loaded = logged
        self._log.meaning = meaning


async def restore(namespace: Namespace, text: str) -> None:
    """Feed one text to `iptables-restore --noflush -w` inside a namespace, without blocking.

    Raises LabError with the program's complaint and the line that it is about.
    """
    with _Restore(namespace, text) as running:
        try:
            await asyncio.wait_for(_exit(running.process.pid), _SECONDS)
        except TimeoutError:
            running.process.kill()
        running.finish()


def restore_now(namespace: Namespace, text: str) -> None:
    """The same, blocking, where no event loop runs. Raises LabError."""
    with _Restore(namespace, text) as running:
        running.finish()


class _Restore:
    """One iptables-restore at work. Rules and complaints are memory files: no pipe can fill up."""

    def __init__(self, namespace: Namespace, text: str) -> None:
        self._name = namespace.name
        self._said = os.memfd_create("said")
        rules = os.memfd_create("rules")
        try:
            os.write(rules, text.encode())
            os.lseek(rules, 0, os.SEEK_SET)
            with namespace:
                self.process = subprocess.Popen(
                    [restore_program(), "--noflush", "-w"],
                    stdin=rules,
                    stdout=self._said,
                    stderr=self._said,
                )
        finally:
            os.close(rules)

    def __enter__(self) -> _Restore:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._said)

    def finish(self) -> None:
        """Wait for the end. Raises LabError if the rules were refused."""
        try:
            status = self.process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if status != 0:
            os.lseek(self._said, 0, os.SEEK_SET)
            complaint = os.read(self._said, 4096).decode(errors="replace").strip()
            raise LabError(
                f"iptables-restore refused the rules of {self._name}: {complaint or status}",
                "Run `secondhop doctor`; if it finds nothing, please report this message.",
            )


async def _exit(pid: int) -> None:
    """Wait, without blocking the loop, until a child has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.cancel)
    try:
        await asyncio.wait({ended})
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
