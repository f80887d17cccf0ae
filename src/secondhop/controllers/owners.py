"""ownerReferences: who controls an object, and who may take it over."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from ..client import Object, meta
from ..client.api import labels_of
from ..client.informer import Key
from ..model.labels import selects
from .cache import Cache
from .loop import Queue


def owners_of(value: Object) -> list[dict[str, Any]]:
    """Its ownerReferences."""
    return value["metadata"].get("ownerReferences") or []


def controller_of(value: Object) -> Mapping[str, Any] | None:
    """The reference to the one owner that manages it."""
    return next((owner for owner in owners_of(value) if owner.get("controller")), None)


def topmost(value: Object, sets: Cache) -> Mapping[str, Any] | None:
    """The reference to what manages it in the end: a pod's Deployment, if its ReplicaSet has one.

    sets: the ReplicaSets.
    """
    owner = controller_of(value)
    if owner is not None and owner["kind"] == "ReplicaSet":
        above = sets.get((meta(value)[0], owner["name"]))
        owner = controller_of(above) or owner if above is not None else owner
    return owner


def reference(owner: Object) -> dict[str, Any]:
    """The ownerReference of what a controller makes for an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def without(value: Object, uids: Collection[str]) -> Object:
    """An object that no longer names these owners."""
    return _owned_by(value, [one for one in owners_of(value) if one["uid"] not in uids])


def deleting(value: Object) -> bool:
    """Whether it is on its way out."""
    return "deletionTimestamp" in value["metadata"]


def by_namespace(value: Object) -> Iterable[Hashable]:
    """Index: objects of a namespace."""
    yield meta(value)[0]


def by_controller(value: Object) -> Iterable[Hashable]:
    """Index: objects by the uid of their controller; those without one by ("", namespace)."""
    controller = controller_of(value)
    yield controller["uid"] if controller else ("", meta(value)[0])


class Claims(NamedTuple):
    """What a controller finds: its own objects, those to take over, and those to let go."""

    mine: list[Object]
    adopt: list[Object]
    release: list[Object]


def claims(owner: Object, found: Iterable[Object]) -> Claims:
    """Sort objects that an owner controls, or nobody does, by its selector."""
    result = Claims([], [], [])
    for value in found:
        selected = selects(owner["spec"]["selector"], labels_of(value))
        if controller_of(value) is not None:
            (result.mine if selected or deleting(owner) else result.release).append(value)
        elif selected and not deleting(owner) and not deleting(value):
            result.adopt.append(value)
    return result


class Owned:
    """The objects of one kind that the objects of another control."""

    def __init__(self, dependents: Cache, owners: Cache, kind: str, queue: Queue) -> None:
        """queue: gets the key of an owner of that kind when what it controls, or could, changes."""
        self._dependents, self._kind, self._queue = dependents, kind, queue
        self._by_controller = dependents.index(by_controller)
        self._owners = owners.index(by_namespace)
        dependents.listen(self._changed)

    async def of(self, owner: Object) -> list[Object]:
        """What an owner controls, after it has taken over what nobody controls and let go what it
        no longer selects."""
        found = [
            *self._by_controller(owner["metadata"]["uid"]),
            *self._by_controller(("", meta(owner)[0])),
        ]
        mine, adopt, release = claims(owner, found)
        for value in release:
            await self._dependents.update(without(value, [owner["metadata"]["uid"]]))
        for value in adopt:
            owned = [*owners_of(value), reference(owner)]
            mine.append(await self._dependents.update(_owned_by(value, owned)))
        return mine

    def of_uid(self, uid: str) -> list[Object]:
        """What the owner of a uid controls."""
        return list(self._by_controller(uid))

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        for value in (before, after):
            if value is None:
                continue
            controller = controller_of(value)
            if controller is not None:
                if controller["kind"] == self._kind:
                    self._queue.add((key[0], controller["name"]))
            elif value is after:
                for owner in self._owners(key[0]):
                    if selects(owner["spec"]["selector"], labels_of(value)):
                        self._queue.add(meta(owner))


def _owned_by(value: Object, owners: list[dict[str, Any]]) -> Object:
    return {**value, "metadata": {**value["metadata"], "ownerReferences": owners}}
