"""DaemonSet: one pod on each node that it may run on."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..client import Object, meta
from ..client.informer import Key
from ..manifests.pods import letters
from .eligibility import selects_node, terms, untolerated
from .loop import Context, Controller
from .owners import Owned, deleting
from .pods import (
    FINISHED,
    available,
    is_active,
    is_ready,
    made_for,
    node_of,
    phase,
    until_available,
)
from .rollout import pods as count_of

HASH = "controller-revision-hash"
_NODE = "node.kubernetes.io/"
_NAME_TERM = "metadata.name"


class Here(NamedTuple):
    """The pods of a DaemonSet on one node, the oldest first. wanted: it should have one; kept: one
    that is there may stay."""

    node: str
    wanted: bool
    kept: bool
    pods: list[Object]


class Plan(NamedTuple):
    """The nodes that get a pod, and the pods that go."""

    create: list[str]
    delete: list[Object]


def revision(owner: Object) -> str:
    """What tells its pods of this template from older ones."""
    return letters(json.dumps(owner["spec"]["template"], sort_keys=True), 10)


def tolerations(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tolerations of a daemon's pod: its own, and those that keep it where others go."""
    added = [
        {"key": f"{_NODE}{name}", "operator": "Exists", "effect": effect}
        for name, effect in (
            ("not-ready", "NoExecute"),
            ("unreachable", "NoExecute"),
            ("disk-pressure", "NoSchedule"),
            ("memory-pressure", "NoSchedule"),
            ("pid-pressure", "NoSchedule"),
            ("unschedulable", "NoSchedule"),
            *((("network-unavailable", "NoSchedule"),) if spec.get("hostNetwork") else ()),
        )
    ]
    own = spec.get("tolerations") or []
    return [*own, *(one for one in added if one not in own)]


def daemon(owner: Object, node: str) -> Object:
    """Its pod for a node; the scheduler binds it there."""
    pod = made_for(owner, owner["spec"]["template"])
    spec = pod["spec"]
    pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), HASH: revision(owner)}
    spec["tolerations"] = tolerations(spec)
    here = {"key": _NAME_TERM, "operator": "In", "values": [node]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [{"matchFields": [here]}]
    }
    return pod


def target(pod: Object) -> str:
    """The node a daemon's pod is on, or is meant for."""
    if node := node_of(pod):
        return node
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == _NAME_TERM and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def spread(owner: Object, nodes: Sequence[Object], pods: Sequence[Object]) -> list[Here]:
    """Its pods by node: every node, and every other place that has one."""
    spec = copy.copy(owner["spec"]["template"]["spec"])
    spec["tolerations"] = tolerations(spec)
    found: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], meta(pod)[1])):
        found.setdefault(target(pod), []).append(pod)
    places = []
    for node in nodes:
        name = meta(node)[1]
        fits = spec.get("nodeName") in (None, "", name) and selects_node(spec, node)
        wanted = fits and untolerated(spec, node) is None
        kept = fits and untolerated(spec, node, ("NoExecute",)) is None
        places.append(Here(name, wanted, kept, found.pop(name, [])))
    return [*places, *(Here(name, False, False, rest) for name, rest in found.items())]


def plan(owner: Object, places: Sequence[Here], now: float) -> Plan:
    """The next step: a pod for each node that has none, needless and finished ones away, and of an
    old template as many replaced as the update strategy allows."""
    step = Plan([], [])
    pairs = []
    for here in places:
        step.delete.extend(p for p in here.pods if phase(p) in FINISHED and not deleting(p))
        active = [pod for pod in here.pods if is_active(pod)]
        if not here.kept:
            step.delete.extend(active)
            continue
        if here.wanted and not here.pods:
            step.create.append(here.node)
        pair, twice = _pair(owner, here, active, now)
        step.delete.extend(twice)
        pairs.append(pair)
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return step
    limits = strategy.get("rollingUpdate") or {}
    wanted = sum(here.wanted for here in places)
    surge = count_of(limits.get("maxSurge"), wanted, up=True)
    if surge:
        _replace_beside(step, pairs, surge)
    else:
        absent = count_of(limits.get("maxUnavailable", 1), wanted, up=True)
        _replace_after(step, pairs, max(1, absent))
    return step


class _Pair(NamedTuple):
    """The pods of one node, of the old template and of the new; which of them are available."""

    here: Here
    old: Object | None
    new: Object | None
    old_fit: bool
    new_fit: bool


def _pair(
    owner: Object, here: Here, active: Sequence[Object], now: float
) -> tuple[_Pair, list[Object]]:
    """The oldest pod of each template, and what is there twice."""
    mark, min_ready = revision(owner), owner["spec"].get("minReadySeconds") or 0
    old = [pod for pod in active if _mark(pod) != mark]
    new = [pod for pod in active if _mark(pod) == mark]
    fit = [any(until_available(p, min_ready, now) == 0 for p in some[:1]) for some in (old, new)]
    first = (next(iter(old), None), next(iter(new), None))
    return _Pair(here, *first, *fit), old[1:] + new[1:]


def _replace_after(step: Plan, pairs: Sequence[_Pair], absent: int) -> None:
    """An old pod goes before a new one comes; at most so many nodes are without one."""
    absent -= sum(p.here.wanted and not (p.old_fit or p.new_fit) for p in pairs)
    for pair in pairs:
        if pair.old is None:
            continue
        if pair.new is not None or not pair.old_fit:
            step.delete.append(pair.old)
        elif absent > 0:
            step.delete.append(pair.old)
            absent -= 1


def _replace_beside(step: Plan, pairs: Sequence[_Pair], surge: int) -> None:
    """A new pod comes beside an old one, which goes when the new one is available; at most so many
    nodes have two."""
    surge -= sum(p.new is not None and p.old_fit and not p.new_fit for p in pairs)
    for pair in pairs:
        if pair.old is None:
            continue
        if pair.new is not None:
            if pair.new_fit or not pair.old_fit:
                step.delete.append(pair.old)
        elif surge > 0 or not pair.old_fit:
            step.create.append(pair.here.node)
            surge -= pair.old_fit


def _mark(pod: Object) -> str | None:
    return (pod["metadata"].get("labels") or {}).get(HASH)


def status_of(
    owner: Object, places: Sequence[Here], now: float
) -> tuple[dict[str, Any], float | None]:
    """The status of a DaemonSet, and the seconds until time alone changes it."""
    mark, min_ready = revision(owner), owner["spec"].get("minReadySeconds") or 0
    wanted = [here for here in places if here.wanted]
    oldest = [next(iter(_alive(here)), None) for here in wanted]
    running = [pod for pod in oldest if pod is not None]
    fit, _ = available(running, min_ready, now)
    _, wait = available((pod for here in places for pod in _alive(here)), min_ready, now)
    current = [pod for here in wanted for pod in _alive(here) if _mark(pod) == mark]
    status = {
        "currentNumberScheduled": len(running),
        "desiredNumberScheduled": len(wanted),
        "numberAvailable": fit,
        "numberMisscheduled": sum(bool(_alive(here)) for here in places if not here.wanted),
        "numberReady": sum(map(is_ready, running)),
        "numberUnavailable": len(wanted) - fit,
        "observedGeneration": owner["metadata"].get("generation", 0),
        "updatedNumberScheduled": len({target(pod) for pod in current}),
    }
    return {name: value for name, value in status.items() if value or name in _ALWAYS}, wait


_ALWAYS = (
    "currentNumberScheduled",
    "desiredNumberScheduled",
    "numberMisscheduled",
    "numberReady",
    "observedGeneration",
)


def _alive(here: Here) -> list[Object]:
    return [pod for pod in here.pods if is_active(pod)]


class DaemonSets(Controller):
    """DaemonSets, pods and nodes -> pods, and the DaemonSet's status."""

    name = "daemonset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets, self._pods = context.cache("DaemonSet"), context.cache("Pod")
        self._nodes = context.cache("Node")
        self._owned = Owned(self._pods, self._sets, "DaemonSet", self.queue)
        self._sets.listen(lambda key, *_: self.queue.add(key))
        self._nodes.listen(self._node_changed)

    async def reconcile(self, key: Key) -> float | None:
        """One step towards a pod on each node, and how it stands."""
        owner = self._sets.get(key)
        if owner is None:
            return None
        await self._owned.of(owner)
        now = self.context.settings.now()
        if not deleting(owner):
            step = plan(owner, self._places(owner), now)
            for pod in step.delete:
                await self._pods.delete(pod)
                self._tell(owner, "SuccessfulDelete", f"Deleted pod: {meta(pod)[1]}")
            for node in step.create:
                pod = await self._pods.create(daemon(owner, node))
                self._tell(owner, "SuccessfulCreate", f"Created pod: {meta(pod)[1]}")
        status, wait = status_of(owner, self._places(owner), now)
        if status != owner.get("status"):
            await self._sets.update({**owner, "status": status}, "status")
        return wait

    def _places(self, owner: Object) -> list[Here]:
        nodes = sorted(self._nodes, key=meta)
        return spread(owner, nodes, self._owned.of_uid(owner["metadata"]["uid"]))

    def _tell(self, owner: Object, reason: str, message: str) -> None:
        self.context.events.tell(owner, self.name, reason, message)

    def _node_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if before is None or after is None or terms(before) != terms(after):
            for owner in self._sets:
                self.queue.add(meta(owner))
