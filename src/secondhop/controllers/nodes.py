"""Node lifecycle: a node that falls silent, what that means for its pods, and its return."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..client import Object, meta
from ..client.informer import Key
from ..manifests.scheduling import tolerates
from .conditions import condition, with_condition
from .eligibility import UNSCHEDULABLE, taints_of
from .loop import Context, Controller
from .owners import deleting
from .pods import FINISHED, by_node, node_of, phase
from .times import since_1970, stamp

UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"
_TAINTS = {"Unknown": UNREACHABLE, "False": NOT_READY}
_OURS = (UNREACHABLE, NOT_READY, UNSCHEDULABLE["key"])
_REPORTED = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_SILENT = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
_LEASES = "kube-node-lease"


def silenced(node: Object, now: float) -> Object:
    """A node of which nothing was heard for too long: nobody knows how it is."""
    for kind in _REPORTED:
        before = condition(node, kind) or {"type": kind}
        if before.get("status") != "Unknown":
            new = {**before, "status": "Unknown", **_SILENT}
            conditions = with_condition(node, new, stamp(now))
            node = {**node, "status": {**(node.get("status") or {}), "conditions": conditions}}
    return node


def readiness(node: Object) -> str:
    """The status of its Ready condition: True, False or Unknown; empty if it has yet to tell."""
    found = condition(node, "Ready")
    return found["status"] if found else ""


def taints(node: Object, now: float) -> list[dict[str, Any]]:
    """The taints that a node must have; those that stay keep their time."""
    unready = _TAINTS.get(readiness(node))
    wanted = [(unready, "NoSchedule"), (unready, "NoExecute")] if unready else []
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.append((UNSCHEDULABLE["key"], "NoSchedule"))
    kept = [t for t in taints_of(node) if t["key"] not in _OURS or _pair(t) in wanted]
    there = {_pair(taint) for taint in kept}
    added = [
        {"key": key, "effect": effect, "timeAdded": stamp(now)}
        for key, effect in wanted
        if (key, effect) not in there
    ]
    return [*kept, *added]


def _pair(taint: Mapping[str, Any]) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def unready(pod: Object, now: float) -> Object | None:
    """The pod with its Ready condition False, as it is on a node of which nothing is known; None
    if it is not ready anyway."""
    before = condition(pod, "Ready")
    if before is None or before["status"] != "True":
        return None
    conditions = with_condition(pod, {**before, "status": "False"}, stamp(now))
    return {**pod, "status": {**pod["status"], "conditions": conditions}}


def evicted_at(pod: Object, since: Mapping[str, float], node: Object) -> float | None:
    """When NoExecute taints drive a pod from its node, in seconds since 1970; None for never. Its
    patience begins when the taint comes, or when it comes itself.

    since: when a taint came, by its key.
    """
    moments = []
    for taint in taints_of(node):
        if taint["effect"] == "NoExecute":
            patience = _patience(pod, taint)
            if patience is not None:
                moments.append(max(since[taint["key"]], _bound_at(pod)) + patience)
    return min(moments, default=None)


def _bound_at(pod: Object) -> float:
    scheduled = condition(pod, "PodScheduled") or {}
    return since_1970(scheduled.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def _patience(pod: Object, taint: Mapping[str, Any]) -> float | None:
    """How many seconds a pod puts up with a taint; None for ever."""
    matching = [one for one in pod["spec"].get("tolerations") or () if tolerates(one, taint)]
    if not matching:
        return 0
    limits = [s for one in matching if (s := one.get("tolerationSeconds")) is not None]
    return max(0, min(limits)) if limits else None


class Nodes(Controller):
    """Leases and nodes -> the conditions and taints of nodes, the Ready conditions of their pods,
    and evictions."""

    name = "node-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._nodes, self._pods = context.cache("Node"), context.cache("Pod")
        self._by_node = self._pods.index(by_node)
        self._heard: dict[str, float] = {}
        """Node -> the event loop's time when it last gave a sign of life."""
        self._tainted: dict[str, dict[str, float]] = {}
        self._nodes.listen(self._node_changed)
        self._pods.listen(self._pod_changed)
        context.cache("Lease").listen(self._lease_changed)

    async def reconcile(self, key: Key) -> float | None:
        """See whether a node is heard of, and do what follows."""
        node = self._nodes.get(key)
        if node is None:
            return None
        now = self.context.settings.now()
        silence = self._until_silent(key[1])
        if silence <= 0:
            node = await self._silence(node, now)
        wanted = taints(node, now)
        if wanted != taints_of(node):
            spec = {**(node.get("spec") or {}), "taints": wanted}
            node = await self._nodes.update({**node, "spec": spec})
        if readiness(node) in _TAINTS:
            await self._mark_pods(node, now)
        waits = (await self._evict(node, now), silence if silence > 0 else None)
        return min((wait for wait in waits if wait is not None), default=None)

    def _until_silent(self, node: str) -> float:
        """Seconds until a node has been silent for too long."""
        now = asyncio.get_running_loop().time()
        return self._heard[node] + self.context.settings.node_grace_seconds - now

    async def _silence(self, node: Object, now: float) -> Object:
        changed = silenced(node, now)
        if changed["status"] == node.get("status"):
            return node
        if readiness(node) == "True":
            message = f"Node {meta(node)[1]} status is now: NodeNotReady"
            self.context.events.tell(node, self.name, "NodeNotReady", message)
        return await self._nodes.update(changed, "status")

    async def _mark_pods(self, node: Object, now: float) -> None:
        for pod in list(self._by_node(meta(node)[1])):
            changed = unready(pod, now)
            if changed is not None:
                await self._pods.update(changed, "status")
                tell = self.context.events.tell
                tell(pod, self.name, "NodeNotReady", "Node is not ready", "Warning")

    async def _evict(self, node: Object, now: float) -> float | None:
        """Delete the pods whose patience with the node's taints is over; the seconds until the
        next one's is."""
        since = self._since(node, now)
        if not since:
            return None
        next_one = None
        for pod in list(self._by_node(meta(node)[1])):
            moment = evicted_at(pod, since, node)
            if moment is None or deleting(pod) or phase(pod) in FINISHED:
                continue
            if moment <= now:
                message = "Marking for deletion Pod {}/{}".format(*meta(pod))
                self.context.events.tell(pod, self.name, "TaintManagerEviction", message)
                await self._pods.delete(pod)
            elif next_one is None or moment < next_one:
                next_one = moment
        return next_one - now if next_one is not None else None

    def _since(self, node: Object, now: float) -> dict[str, float]:
        """When each of its NoExecute taints came: as it says, or when it was first seen."""
        before = self._tainted.pop(meta(node)[1], {})
        found = {
            taint["key"]: since_1970(taint["timeAdded"])
            if taint.get("timeAdded")
            else before.get(taint["key"], now)
            for taint in taints_of(node)
            if taint["effect"] == "NoExecute"
        }
        if found:
            self._tainted[meta(node)[1]] = found
        return found

    def _lease_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if key[0] == _LEASES and after is not None and _renewed(before) != _renewed(after):
            self._live(key[1])

    def _node_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self._heard.pop(key[1], None)
            self._tainted.pop(key[1], None)
            return
        if before is None or _beat(before) != _beat(after):
            self._live(key[1])
        self.queue.add(key)

    def _live(self, node: str) -> None:
        """It gave a sign of life. The moment at which it would have been silent is set already,
        unless it was."""
        if node in self._heard and self._until_silent(node) <= 0:
            self.queue.add(("", node))
        self._heard[node] = asyncio.get_running_loop().time()

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """A pod that comes to a node which drives pods away."""
        node = node_of(after) if after is not None else ""
        if node in self._tainted and (before is None or node_of(before) != node):
            self.queue.add(("", node))


def _renewed(lease: Object | None) -> object:
    return ((lease or {}).get("spec") or {}).get("renewTime")


def _beat(node: Object) -> object:
    return (condition(node, "Ready") or {}).get("lastHeartbeatTime")
