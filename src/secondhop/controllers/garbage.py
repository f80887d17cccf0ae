"""Garbage collector: what nobody owns any more goes; an owner may wait for it, or let it stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..client import Object, meta
from ..client.api import Deletion
from ..client.informer import Key
from ..errors import ApiError
from .cache import Cache, Heard
from .kinds import NAMESPACED, OWNERS
from .loop import Context, Controller
from .owners import deleting, owners_of, without

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_NOT_FOUND = 404


class Item(NamedTuple):
    """An object by its place."""

    kind: str
    namespace: str
    name: str


def by_owner(value: Object) -> Iterator[str]:
    """Index: objects by the uids of their owners."""
    for owner in owners_of(value):
        yield owner["uid"]


def mode(value: Object) -> str:
    """How an object that is going treats its dependents: one of the two finalizers, or empty."""
    if not deleting(value):
        return ""
    finalizers = value["metadata"].get("finalizers") or ()
    return next((one for one in (_ORPHAN, _FOREGROUND) if one in finalizers), "")


def blocking(owner: Object, dependents: Iterable[Object]) -> list[Object]:
    """The dependents whose end an owner that is deleted in the foreground waits for."""
    uid = owner["metadata"]["uid"]
    return [
        value
        for value in dependents
        if any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in owners_of(value))
    ]


def finalized(value: Object, finalizer: str) -> Object:
    """An object without a finalizer."""
    left = [one for one in value["metadata"].get("finalizers") or () if one != finalizer]
    return {**value, "metadata": {**value["metadata"], "finalizers": left}}


class GarbageCollector(Controller):
    """All kinds -> deletions, and the finalizers of owners."""

    name = "garbage-collector"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._caches = {kind: context.cache(kind) for kind in OWNERS}
        self._by_owner = {kind: self._caches[kind].index(by_owner) for kind in NAMESPACED}
        for kind, cache in self._caches.items():
            cache.listen(self._hears(kind))

    async def reconcile(self, item: Item) -> float | None:
        """See to an object's dependents if it is going, to its owners if it stays."""
        cache = self._caches[item.kind]
        value = cache.get((item.namespace, item.name))
        if value is None:
            return None
        match mode(value):
            case "orphan":
                await self._orphan(cache, value)
            case "foregroundDeletion":
                await self._foreground(cache, value)
        if owners_of(value) and not deleting(value):
            await self._check_owners(cache, value)
        return None

    async def _orphan(self, cache: Cache, value: Object) -> None:
        uid = value["metadata"]["uid"]
        for dependent in self._dependents(uid):
            await self._caches[dependent["kind"]].update(without(dependent, [uid]))
        await cache.update(finalized(value, _ORPHAN))

    async def _foreground(self, cache: Cache, value: Object) -> None:
        dependents = self._dependents(value["metadata"]["uid"])
        for one in dependents:
            if not deleting(one):
                own = self._dependents(one["metadata"]["uid"])
                how = Deletion(propagation="Foreground" if own else "Background")
                await self._caches[one["kind"]].delete(one, how)
        if not blocking(value, self._dependents(value["metadata"]["uid"])):
            await cache.update(finalized(value, _FOREGROUND))

    async def _check_owners(self, cache: Cache, value: Object) -> None:
        """Delete what has lost all its owners; of some, forget those that are gone."""
        namespace = meta(value)[0]
        gone = [
            owner["uid"]
            for owner in owners_of(value)
            if owner["kind"] in OWNERS and not await self._is_there(owner, namespace)
        ]
        if len(gone) == len(owners_of(value)):
            await cache.delete(value, Deletion(propagation="Background"))
        elif gone:
            await cache.update(without(value, gone))

    async def _is_there(self, owner: Mapping[str, Any], namespace: str) -> bool:
        """The cache may be behind: that an owner is gone is for the API to say."""
        place = "" if owner["kind"] in ("Node", "Namespace") else namespace
        found = self._caches[owner["kind"]].get((place, owner["name"]))
        if found is None or found["metadata"]["uid"] != owner["uid"]:
            try:
                found = await self.context.api.get(owner["kind"], owner["name"], place)
            except ApiError as error:
                if error.code != _NOT_FOUND:
                    raise
                return False
        return bool(found["metadata"]["uid"] == owner["uid"])

    def _dependents(self, uid: str) -> list[Object]:
        return [value for found in self._by_owner.values() for value in found(uid)]

    def _hears(self, kind: str) -> Heard:
        def changed(key: Key, before: Object | None, after: Object | None) -> None:
            if after is None and before is not None:
                for dependent in self._dependents(before["metadata"]["uid"]):
                    self.queue.add(Item(dependent["kind"], *meta(dependent)))
                self._look_at_owners(key[0], before)
            elif after is not None and (mode(after) or self._fresh(before, after)):
                self.queue.add(Item(kind, *key))

        return changed

    def _fresh(self, before: Object | None, after: Object) -> bool:
        """Whether its owners have yet to be looked at."""
        return bool(owners_of(after)) and (before is None or owners_of(before) != owners_of(after))

    def _look_at_owners(self, namespace: str, value: Object) -> None:
        """An owner may wait for the end of its dependent."""
        for owner in owners_of(value):
            if owner["kind"] in NAMESPACED:
                self.queue.add(Item(owner["kind"], namespace, owner["name"]))
