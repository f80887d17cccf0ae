"""Deployment: one ReplicaSet for each template, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Sequence

from ..client import Object, meta
from ..client.informer import Key
from ..errors import ApiError
from .loop import Context, Controller
from .owners import Owned, by_controller, deleting, topmost
from .pods import FINISHED, phase
from .progress import complete, status_of
from .revisions import (
    REVISION,
    aim_of,
    annotation,
    current,
    first,
    numbered,
    recreates,
    rescaled,
    resized,
    size_of,
    superfluous,
)
from .rollout import Sizes, down, first_size, rolling, scaled


def split(deployment: Object, sets: Sequence[Object]) -> tuple[Object | None, list[Object]]:
    """The current ReplicaSet, and the others."""
    new = current(deployment, sets)
    return new, [one for one in sets if one is not new]


def next_sizes(deployment: Object, new: Object | None, old: Sequence[Object]) -> Sizes:
    """The sizes that change in the next step of a Deployment."""
    aim = aim_of(deployment)
    ours, others = size_of(new) if new else None, [size_of(one) for one in old]
    if holds_still(deployment, new, old):
        return scaled(aim, ours, others)
    if recreates(deployment):
        if stopping := down(others):
            return stopping
        return {ours.name: aim.replicas} if ours and ours.wanted != aim.replicas else {}
    return rolling(aim, ours, others) if ours else {}


def holds_still(deployment: Object, new: Object | None, old: Sequence[Object]) -> bool:
    """Whether no rollout goes on: it is paused, or a new number of replicas comes first."""
    sets = [*old, *([new] if new else [])]
    return bool(deployment["spec"].get("paused")) or rescaled(deployment, sets)


class Deployments(Controller):
    """Deployments, ReplicaSets (and, for Recreate, pods) -> ReplicaSets, and the status."""

    name = "deployment-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._deployments, self._sets = context.cache("Deployment"), context.cache("ReplicaSet")
        self._owned = Owned(self._sets, self._deployments, "Deployment", self.queue)
        pods = context.cache("Pod")
        self._pods = pods.index(by_controller)
        self._deployments.listen(lambda key, *_: self.queue.add(key))
        pods.listen(self._pod_changed)

    async def reconcile(self, key: Key) -> float | None:
        """One step towards what it wants, and how it stands."""
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        sets = await self._owned.of(deployment)
        begun, collisions = False, 0
        if not deleting(deployment):
            new, old = split(deployment, sets)
            if new is None and self._may_begin(deployment, old):
                begun = await self._begin(deployment, old)
                collisions = not begun
            elif new is not None:
                deployment = await self._number(deployment, new, old)
            await self._step(deployment)
        new, old = split(deployment, self._sets_of(deployment))
        told = status_of(
            deployment,
            new,
            old,
            self.context.settings.now(),
            begun=begun,
            collisions=collisions,
        )
        if told.status != deployment.get("status"):
            await self._deployments.update({**deployment, "status": told.status}, "status")
        return told.wait

    def _sets_of(self, deployment: Object) -> list[Object]:
        return self._owned.of_uid(deployment["metadata"]["uid"])

    def _may_begin(self, deployment: Object, old: Sequence[Object]) -> bool:
        """Whether a ReplicaSet for a new template may be made: under Recreate, when no old pod
        runs any more."""
        if holds_still(deployment, None, old):
            return False
        return not (recreates(deployment) and self._running(old))

    def _running(self, sets: Sequence[Object]) -> bool:
        return any(one["spec"]["replicas"] for one in sets) or any(
            phase(pod) not in FINISHED for one in sets for pod in self._pods(one["metadata"]["uid"])
        )

    async def _begin(self, deployment: Object, old: Sequence[Object]) -> bool:
        """Make the ReplicaSet for its template; False if its name is taken by another."""
        others = sum(one["spec"]["replicas"] for one in old)
        replicas = first_size(aim_of(deployment), others)
        try:
            new = await self._sets.create(first(deployment, old, replicas))
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return False
            message = f"Failed to create new replica set: {error.message}"
            self._tell(deployment, "ReplicaSetCreateError", message, failed=True)
            raise
        if replicas:
            self._tell_scaled(deployment, new, 0)
        return True

    async def _number(self, deployment: Object, new: Object, old: Sequence[Object]) -> Object:
        """See that the current ReplicaSet has the highest revision, and the Deployment has its."""
        changed = numbered(deployment, new, old)
        if changed is not new:
            changed = await self._sets.update(changed)
        revision = annotation(changed, REVISION)
        if annotation(deployment, REVISION) == revision:
            return deployment
        metadata = deployment["metadata"]
        annotations = {**(metadata.get("annotations") or {}), REVISION: revision}
        return await self._deployments.update(
            {**deployment, "metadata": {**metadata, "annotations": annotations}}
        )

    async def _step(self, deployment: Object) -> None:
        new, old = split(deployment, self._sets_of(deployment))
        sizes = next_sizes(deployment, new, old)
        if holds_still(deployment, new, old):  # they are to remember the new number, all of them
            active = {meta(one)[1]: one["spec"]["replicas"] for one in self._sets_of(deployment)}
            sizes = {name: size for name, size in active.items() if size} | sizes
        for one in self._sets_of(deployment):
            size = sizes.get(meta(one)[1])
            if size is not None:
                await self._resize(deployment, one, size)
        if not sizes and (complete(deployment) or deployment["spec"].get("paused")):
            for one in superfluous(deployment, old):
                await self._sets.delete(one)

    async def _resize(self, deployment: Object, one: Object, size: int) -> None:
        before = one["spec"]["replicas"]
        changed = resized(one, size, aim_of(deployment))
        if changed is one:
            return
        stored = await self._sets.update(changed)
        if size != before:
            self._tell_scaled(deployment, stored, before)

    def _tell_scaled(self, deployment: Object, one: Object, before: int) -> None:
        size, name = one["spec"]["replicas"], meta(one)[1]
        way = "up" if size > before else "down"
        message = f"Scaled {way} replica set {name} from {before} to {size}"
        self._tell(deployment, "ScalingReplicaSet", message)

    def _tell(self, deployment: Object, reason: str, message: str, failed: bool = False) -> None:
        self.context.events.tell(
            deployment, self.name, reason, message, "Warning" if failed else "Normal"
        )

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """Under Recreate the end of the last old pod is what a new ReplicaSet waits for."""
        if after is None and before is not None:
            owner = topmost(before, self._sets)
            if owner is not None and owner["kind"] == "Deployment":
                self.queue.add((key[0], owner["name"]))
