"""kube-proxy's seat: brings one node's kernel to the rules that `dataplane` says, again and again,
and answers the health checks of the node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..client import Object
from ..dataplane import node as dataplane
from ..dataplane.health_checks import HealthCheck, health_checks
from ..dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from ..dataplane.udp_flows import changed_endpoints, served
from ..errors import LabError
from ..model.cluster import Cluster, Family, Node
from . import iptables
from .capture import Packet, Refusal, RefusalLog, Verdict
from .conntrack import forget_stale
from .healthchecks import Health, HealthServers
from .netlink import Netfilter, create_counters
from .netns import Namespace

if TYPE_CHECKING:
    from . import nftables
    from .view import View

RESYNC_SECONDS = 30.0
"""kube-proxy's syncPeriod: how often it looks whether somebody else has changed the rules."""

_BURST = 3
"""Syncs that may follow each other at once. When more is changing, a proxy rests after each as long
as it took, so that changes go together and half of the time is left for others."""
_LONGEST_REST = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0

Tell = Callable[[Object, str, str], None]
"""Takes an Event: about which object, the reason, the message."""


class NodeProxy:
    """One node's rules, in whichever mode its proxy is, in every family the cluster has.

    report: takes what the rules refuse. tell: takes Events. turned: called when `agreed` or
    `complaint` has changed.
    """

    def __init__(
        self,
        namespace: Namespace,
        report: Callable[[Packet, Refusal], None],
        tell: Tell = lambda about, reason, message: None,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = namespace.name
        self.agreed: Cluster | None = None
        """What the kernel was last brought to, all of it."""
        self.complaint: LabError | None = None
        """Why it could not be brought any further; None while it can."""
        self.failing_since = 0.0
        self._namespace, self._tell, self._turned = namespace, tell, turned
        self._log = RefusalLog(namespace, report)
        self._counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
        self._rules: dict[Family, _FamilyRules] = {}
        self._health = Health()
        self._servers = HealthServers(namespace, self._health, self._unserved)
        self._netfilter = Netfilter(namespace)
        self._generation: int | None = None

    async def run(self, view: View) -> None:
        """Follow the API until cancelled. What the kernel or a program refuses is told as an Event
        of the Node and tried again, at longer and longer intervals. Raises EnvironmentUnable."""
        await view.filled()
        in_a_row, pause = 0, _FIRST_PAUSE
        while True:
            begun, version, cluster = time.monotonic(), view.version, view.cluster
            try:
                await self.sync(cluster)
            except (LabError, OSError) as error:
                self._failed(error if isinstance(error, LabError) else _short(self.name, error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause, took = _FIRST_PAUSE, time.monotonic() - begun
            if in_a_row >= _BURST:
                await asyncio.sleep(min(took, _LONGEST_REST))
            resting = time.monotonic()
            await self._news(view, version)
            in_a_row = in_a_row + 1 if time.monotonic() - resting < took else 1

    async def _news(self, view: View, version: int) -> None:
        """Wait until there is something to do: the API says something new, or our rules are not
        what they were."""
        touched = False
        while view.version == version and not touched:
            try:
                async with asyncio.timeout(RESYNC_SECONDS):
                    await view.after(version)
            except TimeoutError:
                touched = await self._touched()

    async def sync(self, cluster: Cluster) -> None:
        """Make this node's kernel agree with the cluster's objects. Raises LabError, OSError,
        EnvironmentUnable: then a later sync does the rest."""
        node = cluster.node(self.name)
        families = dataplane.families(cluster)
        self._health.eligible = not node.deleting
        self._health.waits(families)
        await self._servers.serve_own(families)
        meaning: dict[str, Verdict] = {}
        for family in families:
            rules = self._rules.setdefault(family, _FamilyRules(self._namespace, family))
            meaning |= await rules.sync(cluster, node, self._log, counters=self._counters)
        self._log.meaning = meaning
        self._generation = self._netfilter.generation()
        self._forget_flows(cluster, families)
        checks = [check for family in families for check in health_checks(cluster, node, family)]
        await self._servers.sync(checks)
        self._health.updated(families)
        self.agreed, self.complaint = cluster, None
        self._turned()

    def _forget_flows(self, cluster: Cluster, families: list[Family]) -> None:
        """At the end of a sync in which endpoints changed (semantics §5.5)."""
        before = self.agreed.endpoints if self.agreed else {}
        if changed_endpoints(before, cluster.endpoints):
            for family in families:
                forget_stale(self._namespace, family, served(cluster, family))

    async def _touched(self) -> bool:
        """Whether somebody else has changed our rules; they are then read anew by the next sync."""
        now = self._netfilter.generation()
        if now is not None and now == self._generation:
            return False
        found = [await rules.touched() for rules in self._rules.values()]
        self._generation = now
        return any(found)

    def _failed(self, error: LabError) -> None:
        if self.complaint is None:
            self.failing_since = time.monotonic()
        self.complaint = error
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}}
        self._tell(about, "FailedToSyncRules", error.message)
        self._turned()

    def _unserved(self, check: HealthCheck, why: str) -> None:
        metadata = {"namespace": check.namespace, "name": check.service}
        about = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        said = f"node {self.name} failed to start healthcheck on port {check.port}: {why}"
        self._tell(about, "FailedToStartServiceHealthcheck", said)


def _short(node: str, error: OSError) -> LabError:
    return LabError(
        f"the rules of {node} could not be loaded: {error}",
        "The machine is short of something; try a smaller lab.",
    )


class _FamilyRules:
    """The rules of one family. flannel's are with iptables in both modes."""

    def __init__(self, namespace: Namespace, family: Family) -> None:
        self._namespace, self._family = namespace, family
        self._iptables = iptables.Loader(namespace, family)
        self._nftables: nftables.Loader | None = None

    async def sync(
        self, cluster: Cluster, node: Node, log: RefusalLog, *, counters: bool
    ) -> dict[str, Verdict]:
        """Load them; what the log prefixes of those that refuse mean."""
        wanted = dataplane.rules(cluster, node, counters=counters, family=self._family)
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
