"""kube-proxy's seat: brings each node's kernel to the rules that `dataplane` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..dataplane import node as dataplane
from ..dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from ..model.cluster import Cluster, Family
from . import iptables
from .capture import Packet, Refusal, RefusalLog, Verdict
from .netlink import create_counters
from .netns import Namespace

if TYPE_CHECKING:
    from . import nftables


class NodeProxy:
    """One node's rules, in whichever mode its proxy is, in every family the cluster has. flannel's
    are with iptables in both."""

    def __init__(self, namespace: Namespace, report: Callable[[Packet, Refusal], None]) -> None:
        self._namespace = namespace
        self._log = RefusalLog(namespace, report)
        self._counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
        self._iptables: dict[Family, iptables.Loader] = {}
        self._nftables: dict[Family, nftables.Loader] = {}

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError,
        EnvironmentUnable."""
        meaning: dict[str, Verdict] = {}
        for family in _families(cluster):
            meaning |= await self._sync(cluster, family)
        self._log.meaning = meaning

    async def _sync(self, cluster: Cluster, family: Family) -> dict[str, Verdict]:
        node = cluster.node(self._namespace.name)
        wanted = dataplane.rules(cluster, node, counters=self._counters, family=family)
        ruleset, meaning = iptables.instrument(wanted.iptables)
        self._log.meaning = self._log.meaning | meaning
        if family not in self._iptables:
            self._iptables[family] = iptables.Loader(self._namespace, family)
        await self._iptables[family].sync(ruleset)
        if wanted.nftables:
            from . import nftables  # iptables mode starts without it

            if family not in self._nftables:
                self._nftables[family] = nftables.Loader(self._namespace)
            table, more = nftables.instrument(wanted.nftables)
            meaning |= more
            self._log.meaning = self._log.meaning | meaning
            await self._nftables[family].sync(table)
        return meaning


def _families(cluster: Cluster) -> list[Family]:
    versions = {interface.version for node in cluster.nodes for interface in node.addresses}
    return [family for family in (4, 6) if family in versions]
