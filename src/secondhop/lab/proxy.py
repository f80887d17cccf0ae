"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable

from ..dataplane import node as dataplane
from ..dataplane.ruleset import Ruleset, transactions
from ..errors import EnvironmentUnable, LabError
from ..model.cluster import Cluster
from .capture import Packet, Refusal, RefusalLog, instrument
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

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError."""
        wanted = dataplane.rules(cluster, cluster.node(self._namespace.name))
        logged, meaning = instrument(wanted)
        self._log.meaning |= meaning
        for text in transactions(self._loaded, logged):
            await restore(self._namespace, text)
        self._loaded = logged
        self._log.meaning = meaning


async def restore(namespace: Namespace, text: str) -> None:
    """Feed one text to `iptables-restore --noflush -w` inside a namespace.

    Raises LabError with the program's complaint and the line that it is about.
    """
    given, said = os.memfd_create("rules"), os.memfd_create("errors")
    try:
        os.write(given, text.encode())
        os.lseek(given, 0, os.SEEK_SET)
        with namespace:
            process = subprocess.Popen(
                [restore_program(), "--noflush", "-w"], stdin=given, stdout=said, stderr=said
            )
        try:
            await asyncio.wait_for(_exit(process.pid), _SECONDS)
        except TimeoutError:
            process.kill()
        if process.wait() != 0:
            os.lseek(said, 0, os.SEEK_SET)
            complaint = os.read(said, 4096).decode(errors="replace").strip()
            raise LabError(
                f"iptables-restore refused the rules of {namespace.name}: {complaint or 'timeout'}",
                "Run `secondhop doctor`; if it finds nothing, please report this with the message.",
            )
    finally:
        os.close(given)
        os.close(said)


async def _exit(pid: int) -> None:
    """Wait, without blocking the loop, until a child has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, lambda: ended.done() or ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
