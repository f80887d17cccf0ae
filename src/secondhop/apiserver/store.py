"""Storage with history: it knows revisions and keys, and nothing of what objects mean.

Objects in here are never changed: a write stores another one. One event loop uses a store; nothing
in it waits except a Watch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

Object: TypeAlias = dict[str, Any]
HISTORY = 4096


class Key(NamedTuple):
    """Where an object stands. resource: plural and group (`deployments.apps`)."""

    resource: str
    namespace: str
    name: str


class Change(NamedTuple):
    """One write. before is None when the object is new, after when it is gone; `last` is the
    object as a watcher is to see it, with the revision of this write."""

    revision: int
    key: Key
    before: Object | None
    after: Object | None
    last: Object


class Conflict(Exception):
    """The object is not the one that the writer has seen; `stored` is what stands there."""

    def __init__(self, stored: Object | None) -> None:
        super().__init__()
        self.stored = stored


class Expired(Exception):
    """The history no longer reaches back that far."""


class Store:
    """Objects by key, a revision that counts all writes, and the latest changes."""

    def __init__(self, history: int = HISTORY) -> None:
        self.revision = 1
        self._history = history
        self._objects: dict[str, dict[Key, Object]] = {}
        self._changes: deque[Change] = deque(maxlen=history)
        self._compacted = 1
        self._watches: dict[str, dict[Watch, None]] = {}

    def get(self, key: Key) -> Object | None:
        """The object at a key."""
        return self._objects.get(key.resource, {}).get(key)

    def list(self, resource: str, namespace: str = "") -> list[tuple[Key, Object]]:
        """The objects of a resource, of one namespace or all, in the order of their keys."""
        found = self._objects.get(resource, {}).items()
        return sorted(pair for pair in found if namespace in ("", pair[0].namespace))

    def put(self, key: Key, value: Object, seen: Object | None) -> Object:
        """Store an object over the one its writer has seen (None: over nothing); it comes back
        with its resourceVersion. Raises Conflict."""
        self._expect(key, seen)
        self.revision += 1
        stored = _at(value, self.revision)
        self._objects.setdefault(key.resource, {})[key] = stored
        self._tell(Change(self.revision, key, seen, stored, stored))
        return stored

    def delete(self, key: Key, seen: Object, last: Object) -> Object:
        """Remove an object that its writer has seen; `last` is what watchers see of it, and comes
        back with the revision of its end. Raises Conflict."""
        self._expect(key, seen)
        self.revision += 1
        del self._objects[key.resource][key]
        last = _at(last, self.revision)
        self._tell(Change(self.revision, key, seen, None, last))
        return last

    def remembers(self, revision: int) -> bool:
        """Whether all changes after a revision are in the history."""
        return revision >= self._compacted

    def watch(
        self, resource: str, since: int, wanted: Callable[[Change], bool] | None = None
    ) -> Watch:
        """The changes of a resource after a revision, or those of them that are wanted. Raises
        Expired."""
        if not self.remembers(since):
            raise Expired
        missed = [
            change
            for change in self._changes
            if change.revision > since
            and change.key.resource == resource
            and (wanted is None or wanted(change))
        ]
        watch = Watch(
            missed, wanted, self._history, lambda: self._watches[resource].pop(watch, None)
        )
        self._watches.setdefault(resource, {})[watch] = None
        return watch

    def _expect(self, key: Key, seen: Object | None) -> None:
        stored = self.get(key)
        if stored is not seen:
            raise Conflict(stored)

    def _tell(self, change: Change) -> None:
        if len(self._changes) == self._changes.maxlen:
            self._compacted = self._changes[0].revision
        self._changes.append(change)
        for watch in list(self._watches.get(change.key.resource, ())):
            watch.take(change)


class Watch:
    """Changes, one after the other, of which it keeps as many as the history. To be closed."""

    def __init__(
        self,
        missed: list[Change],
        wanted: Callable[[Change], bool] | None,
        most: int,
        close: Callable[[], object],
    ) -> None:
        self._pending, self._wanted, self._most = deque(missed), wanted, most
        self._wake = asyncio.Event()
        self._expired = False
        self.close = close
        """Stop listening."""

    def take(self, change: Change) -> None:
        """Remember a change until it is asked for; a watcher that falls behind expires."""
        if self._wanted is not None and not self._wanted(change):
            return
        if len(self._pending) >= self._most:
            self._expired = True
            self._pending.clear()
            self.close()
        self._pending.append(change)
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be told."""
        return not self._pending

    async def wait(self) -> None:
        """Until there is something to be told."""
        while self.idle:
            self._wake.clear()
            await self._wake.wait()

    def ready(self) -> Iterator[Change]:
        """The changes that are there already. Raises Expired."""
        while self._pending:
            if self._expired:
                raise Expired
            yield self._pending.popleft()


def _at(value: Object, revision: int) -> Object:
    metadata: Mapping[str, Any] = value.get("metadata") or {}
    return {**value, "metadata": {**metadata, "resourceVersion": str(revision)}}
