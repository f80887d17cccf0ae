"""Scheduler: binds each pod to a node that it fits on, by rules and never by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..client import Object, meta
from ..client.api import labels_of
from ..client.informer import Key
from .conditions import condition, with_condition
from .eligibility import taints_of, terms
from .fitting import Scene, fit, is_wary
from .loop import Context, Controller
from .owners import by_controller, controller_of, deleting, topmost
from .pods import FINISHED, by_node, is_active, node_of, phase
from .times import stamp


def best(
    fitting: Sequence[Object],
    liked: Sequence[str],
    own: Mapping[str, int],
    all_pods: Mapping[str, int],
) -> str:
    """The name of the node to take: a liked one, if it fits, as full as its share of the wishes
    allows; else one without PreferNoSchedule taints, with the fewest pods of the same owner, with
    the fewest pods, the first by name.

    liked: nodes, one entry a replica. own, all_pods: pods by node.
    """
    names = {meta(node)[1]: node for node in fitting}
    wishes = Counter(name for name in liked if name in names)
    if wishes:
        return min(wishes, key=lambda name: Fraction(own.get(name, 0), wishes[name]))
    return min(
        names,
        key=lambda name: (_avoided(names[name]), own.get(name, 0), all_pods.get(name, 0), name),
    )


def _avoided(node: Object) -> int:
    return sum(taint["effect"] == "PreferNoSchedule" for taint in taints_of(node))


def waits(pod: Object) -> bool:
    """Whether it is for this scheduler to place."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", "default-scheduler") == "default-scheduler"
        and not deleting(pod)
        and phase(pod) not in FINISHED
    )


class Scheduler(Controller):
    """Pods and nodes -> bindings."""

    name = "default-scheduler"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pods, self._nodes = context.cache("Pod"), context.cache("Node")
        self._sets = context.cache("ReplicaSet")
        self._by_node = self._pods.index(by_node)
        self._by_controller = self._pods.index(by_controller)
        self._wary = self._pods.index(is_wary)
        self._pending: dict[Key, bool] = {}
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    async def reconcile(self, key: Key) -> float | None:
        """Place one pod, or say why it cannot be."""
        self._pending.pop(key, None)
        pod = self._pods.get(key)
        if pod is None or not waits(pod):
            return None
        nodes = sorted(self._nodes, key=meta)
        verdict = fit(pod, Scene(nodes, self._by_node, self._wary(True)))
        if verdict.fitting:
            await self._bind(pod, self._best(pod, verdict.fitting))
        else:
            self._pending[key] = verdict.pods_matter
            await self._refuse(pod, verdict.message)
        return None

    def _best(self, pod: Object, fitting: Sequence[Object]) -> str:
        owner, above = controller_of(pod), topmost(pod, self._sets)
        own = self._by_controller(owner["uid"]) if owner else ()
        workload = above["name"] if above else meta(pod)[1]
        return best(
            fitting,
            self.context.settings.placement.get(workload, ()),
            Counter(node_of(one) for one in own if is_active(one)),
            {meta(node)[1]: len(self._by_node(meta(node)[1])) for node in fitting},
        )

    async def _bind(self, pod: Object, node: str) -> None:
        namespace, name = meta(pod)
        await self._pods.bind(pod, node)
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self.context.events.tell(pod, self.name, "Scheduled", message)

    async def _refuse(self, pod: Object, message: str) -> None:
        self.context.events.tell(pod, self.name, "FailedScheduling", message, "Warning")
        before = condition(pod, "PodScheduled")
        new = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        if before is not None and before.get("message") == message:
            return
        when = stamp(self.context.settings.now())
        conditions = with_condition(pod, {**new, "message": message}, when)
        status = {**(pod.get("status") or {}), "conditions": conditions}
        await self._pods.update({**pod, "status": status}, "status")

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if after is None:
            self._pending.pop(key, None)
        elif before is None or before["spec"] != after["spec"]:
            self.queue.add(key)
        if self._pending and (before is None or after is None or _place(before) != _place(after)):
            self._retry(pods_only=True)

    def _node_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if before is None or after is None or terms(before) != terms(after):
            self._retry()

    def _retry(self, *, pods_only: bool = False) -> None:
        for key, pods_matter in self._pending.items():
            if pods_matter or not pods_only:
                self.queue.add(key)


def _place(pod: Object) -> tuple[object, ...]:
    """What about a pod others are placed by."""
    return node_of(pod), labels_of(pod), phase(pod) in FINISHED
