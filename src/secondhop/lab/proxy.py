"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..dataplane import node as dataplane
from ..model.cluster import Cluster
from . import iptables
from .capture import Packet, Refusal, RefusalLog
from .netns import Namespace

if TYPE_CHECKING:
    from . import nftables


class NodeProxy:
    """One node's rules, in whichever mode its proxy is. flannel's are with iptables in both."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self._namespace = namespace
        self._log = RefusalLog(namespace, report)
        self._iptables = iptables.Loader(namespace)
        self._nftables: nftables.Loader | None = None

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError,
        EnvironmentUnable."""
        node = cluster.node(self._namespace.name)
        wanted = dataplane.rules(cluster, node, counters=self._iptables.counters)
        ruleset, meaning = iptables.instrument(wanted.iptables)
        self._log.meaning |= meaning
        await self._iptables.sync(ruleset)
        if wanted.nftables:
            from . import nftables  # iptables mode starts without it

            self._nftables = self._nftables or nftables.Loader(self._namespace)
            table, more = nftables.instrument(wanted.nftables)
            meaning |= more
            self._log.meaning |= meaning
            await self._nftables.sync(table)
        self._log.meaning = meaning
