"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

from collections.abc import Callable

from ..dataplane import node as dataplane
from ..model.cluster import Cluster
from . import iptables, nftables
from .capture import Packet, Refusal, RefusalLog
from .netns import Namespace


class NodeProxy:
    """One node's rules, in whichever mode its proxy is. flannel's are with iptables in both."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self._name = namespace.name
        self._log = RefusalLog(namespace, report)
        self._iptables = iptables.Loader(namespace)
        self._nftables = nftables.Loader(namespace)

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError,
        EnvironmentUnable."""
        node = cluster.node(self._name)
        wanted = dataplane.rules(cluster, node, counters=self._iptables.counters)
        ruleset, meaning = iptables.instrument(wanted.iptables)
        table, more = nftables.instrument(wanted.nftables)
        self._log.meaning |= meaning | more
        await self._iptables.sync(ruleset)
        await self._nftables.sync(table)
        self._log.meaning = meaning | more
