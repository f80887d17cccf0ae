"""kube-proxy's seat: brings one node's kernel to the rules that `dataplane` says, again and again,
and answers the health checks of the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..dataplane import node as dataplane
from ..dataplane.health_checks import HealthCheck, health_checks
from ..dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from ..dataplane.memory import Memory
from ..dataplane.udp_flows import changed_endpoints, served
from ..model.cluster import Cluster, Endpoint, Family, Node, ServicePortName
from . import iptables
from .capture import Packet, Refusal, RefusalLog, Verdict
from .healthchecks import Health, HealthServers
from .netlink import Netfilter, create_counters
from .netns import Namespace
from .proxyloop import Tell

if TYPE_CHECKING:
    from ..dataplane.nftables.ruleset import Table
    from . import nftables


class NodeProxy:
    """One node's rules, in whichever mode its proxy is, in every family the cluster has.

    report: takes what the rules refuse. tell: takes Events.
    """

    def __init__(
        self,
        namespace: Namespace,
        report: Callable[[Packet, Refusal], None],
        tell: Tell = lambda about, reason, message: None,
    ) -> None:
        self._namespace, self._tell = namespace, tell
        self._endpoints: Mapping[ServicePortName, tuple[Endpoint, ...]] = {}
        self._log = RefusalLog(namespace, report)
        self._counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
        self._rules: dict[Family, _FamilyRules] = {}
        self._health = Health()
        self._servers = HealthServers(namespace, self._health, self._unserved)
        self._netfilter = Netfilter(namespace)
        self._generation: int | None = None

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError, OSError,
        EnvironmentUnable: then a later sync does the rest."""
        node = cluster.node(self._namespace.name)
        families = dataplane.families(cluster)
        self._health.eligible = not node.deleting
        self._health.waits(families)
        await self._servers.serve_own(families)
        meaning: dict[str, Verdict] = {}
        for family in families:
            if family not in self._rules:
                self._rules[family] = _FamilyRules(self._namespace, family)
            rules = self._rules[family]
            meaning |= await rules.sync(cluster, node, self._log, counters=self._counters)
        self._log.meaning = meaning
        self._generation = self._netfilter.generation()
        self._forget_flows(cluster, families)
        checks = [check for family in families for check in health_checks(cluster, node, family)]
        await self._servers.sync(checks)
        self._health.updated(families)

    def _forget_flows(self, cluster: Cluster, families: list[Family]) -> None:
        """At the end of a sync in which endpoints changed (semantics §5.5)."""
        if changed_endpoints(self._endpoints, cluster.endpoints):
            from .conntrack import forget_stale

            for family in families:
                forget_stale(self._namespace, family, served(cluster, family))
        self._endpoints = cluster.endpoints

    async def touched(self) -> bool:
        """Whether somebody else has changed rules, perhaps ours: the next sync mends them."""
        now = self._netfilter.generation()
        if now is not None and now == self._generation:
            return False
        found = [await rules.touched() for rules in self._rules.values()]
        self._generation = now
        return any(found)

    def _unserved(self, check: HealthCheck, why: str) -> None:
        metadata = {"namespace": check.namespace, "name": check.service}
        about = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        said = (
            f"node {self._namespace.name} failed to start healthcheck on port {check.port}: {why}"
        )
        self._tell(about, "FailedToStartServiceHealthcheck", said)


class _FamilyRules:
    """The rules of one family. flannel's are with iptables in both modes."""

    def __init__(self, namespace: Namespace, family: Family) -> None:
        self._namespace, self._family = namespace, family
        self._iptables = iptables.Loader(namespace, family)
        self._nftables: nftables.Loader | None = None
        self._memory: Memory[Table] = Memory()

    async def sync(
        self, cluster: Cluster, node: Node, log: RefusalLog, *, counters: bool
    ) -> dict[str, Verdict]:
        """Load them; what the log prefixes of those that refuse mean."""
        wanted = dataplane.rules(
            cluster, node, counters=counters, family=self._family, memory=self._memory
        )
        ruleset, meaning = iptables.instrument(wanted.iptables)
        log.meaning |= meaning
        await self._iptables.sync(ruleset)
        if wanted.nftables:
            from . import nftables  # iptables mode starts without it

            self._nftables = self._nftables or nftables.Loader(self._namespace)
            table, more = nftables.instrument(wanted.nftables)
            meaning |= more
            log.meaning |= meaning
            await self._nftables.sync(table)
        return meaning

    async def touched(self) -> bool:
        """Whether they are not what was loaded."""
        found = await self._iptables.touched()
        return (self._nftables is not None and await self._nftables.touched()) or found
