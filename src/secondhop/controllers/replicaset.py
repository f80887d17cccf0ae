"""ReplicaSet: as many pods as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..client import Object, meta
from ..client.informer import Key
from ..errors import ApiError
from .conditions import condition, conditions_of, with_condition
from .loop import Context, Controller
from .owners import Owned, by_controller, controller_of, deleting
from .pods import available, is_active, is_ready, made_for, node_of, phase
from .times import stamp

_BURST = 500
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class Scaling(NamedTuple):
    """How many pods to create, and which to delete."""

    create: int
    delete: tuple[Object, ...]


def scaling(replicas: int, pods: Iterable[Object], related: Iterable[Object]) -> Scaling:
    """What brings the pods of a ReplicaSet to that number; at most 500 at once.

    related: the pods of all ReplicaSets of its Deployment: a node that has many of them loses one
    first.
    """
    active = [pod for pod in pods if is_active(pod)]
    missing = replicas - len(active)
    if missing >= 0:
        return Scaling(min(missing, _BURST), ())
    crowds = Counter(node_of(pod) for pod in related if is_active(pod))
    active.sort(key=lambda pod: _worth(pod, crowds))
    return Scaling(0, tuple(active[: min(-missing, _BURST)]))


def _worth(pod: Object, crowds: Mapping[str, int]) -> tuple[Any, ...]:
    """What is worth least is deleted first: not bound, not running, not ready, cheap by its own
    word, on a crowded node, ready for a shorter time, often restarted, young."""
    annotations = pod["metadata"].get("annotations") or {}
    ready = condition(pod, "Ready") or {}
    since = str(ready.get("lastTransitionTime") or "")
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return (
        bool(node_of(pod)),
        ("Pending", "Unknown", "Running").index(phase(pod)),
        is_ready(pod),
        _cost(annotations.get(_DELETION_COST)),
        -crowds[node_of(pod)],
        _newest_first(since),
        -max((c.get("restartCount") or 0 for c in containers), default=0),
        _newest_first(pod["metadata"].get("creationTimestamp") or ""),
        meta(pod)[1],
    )


def _cost(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _newest_first(stamp: str) -> tuple[int, ...]:
    """A timestamp's reverse order; none at all is the newest."""
    return tuple(-ord(c) for c in stamp)


def status_of(
    owner: Object, pods: Iterable[Object], now: float, failure: str = ""
) -> tuple[dict[str, Any], float | None]:
    """The status of a ReplicaSet with these pods, and the seconds until time alone changes it.

    failure: why pods could not be created.
    """
    active = [pod for pod in pods if is_active(pod)]
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    ready, wait = available(active, owner["spec"].get("minReadySeconds") or 0, now)
    status: dict[str, Any] = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active
        ),
        "readyReplicas": sum(map(is_ready, active)),
        "availableReplicas": ready,
        "observedGeneration": owner["metadata"].get("generation", 0),
    }
    conditions = [one for one in conditions_of(owner) if one["type"] != "ReplicaFailure"]
    if failure:
        broken = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
        conditions = with_condition(owner, {**broken, "message": failure}, stamp(now))
    if conditions:
        status["conditions"] = conditions
    return {name: value for name, value in status.items() if value or name in _ALWAYS}, wait


_ALWAYS = ("replicas", "observedGeneration")


class ReplicaSets(Controller):
    """Pods and ReplicaSets -> pods, and the ReplicaSet's status."""

    name = "replicaset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sets, self._pods = context.cache("ReplicaSet"), context.cache("Pod")
        self._owned = Owned(self._pods, self._sets, "ReplicaSet", self.queue)
        self._siblings = self._sets.index(by_controller)
        self._sets.listen(lambda key, *_: self.queue.add(key))

    async def reconcile(self, key: Key) -> float | None:
        """Create or delete what is missing or too much, and say how it stands."""
        owner = self._sets.get(key)
        if owner is None:
            return None
        pods = await self._owned.of(owner)
        failure: ApiError | None = None
        if not deleting(owner):
            try:
                await self._scale(owner, pods)
            except ApiError as error:
                failure = error
            pods = self._owned.of_uid(owner["metadata"]["uid"])
        status, wait = status_of(
            owner, pods, self.context.settings.now(), failure.message if failure else ""
        )
        if status != owner.get("status"):
            await self._sets.update({**owner, "status": status}, "status")
        if failure:
            raise failure
        return wait

    async def _scale(self, owner: Object, pods: Sequence[Object]) -> None:
        plan = scaling(owner["spec"]["replicas"], pods, self._related(owner))
        tell = self.context.events.tell
        for _ in range(plan.create):
            try:
                pod = await self._pods.create(made_for(owner, owner["spec"]["template"]))
            except ApiError as error:
                message = f"Error creating: {error.message}"
                tell(owner, self.name, "FailedCreate", message, "Warning")
                raise
            tell(owner, self.name, "SuccessfulCreate", f"Created pod: {meta(pod)[1]}")
        for pod in plan.delete:
            await self._pods.delete(pod)
            tell(owner, self.name, "SuccessfulDelete", f"Deleted pod: {meta(pod)[1]}")

    def _related(self, owner: Object) -> list[Object]:
        controller = controller_of(owner)
        siblings = self._siblings(controller["uid"]) if controller else [owner]
        return [pod for one in siblings for pod in self._owned.of_uid(one["metadata"]["uid"])]
