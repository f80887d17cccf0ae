"""Storage with history: it knows revisions and keys, and nothing of what objects mean.

Objects in here are never changed: a write stores another one. One event loop uses a store; nothing
in it waits except a Watch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
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
        self._objects: dict[str, dict[Key, Object]] = {}
        self._changes: deque[Change] = deque(maxlen=history)
        self._compacted = 1
        self._watches: dict[Watch, None] = {}

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

    def delete(self, key: Key, seen: Object) -> Object:
        """Remove an object that its writer has seen; as it was, at the revision of its end.
        Raises Conflict."""
        self._expect(key, seen)
        self.revision += 1
        del self._objects[key.resource][key]
        last = _at(seen, self.revision)
        self._tell(Change(self.revision, key, seen, None, last))
        return last

    def watch(self, resource: str, since: int) -> Watch:
        """The changes of a resource after a revision. Raises Expired."""
        if since < self._compacted:
            raise Expired
        missed = [c for c in self._changes if c.revision > since and c.key.resource == resource]
        watch = Watch(self, resource, missed)
        self._watches[watch] = None
        return watch

    def compact(self) -> None:
        """Forget the history: watches that have it already go on, new ones from before expire."""
        self._changes.clear()
        self._compacted = self.revision

    def forget(self, watch: Watch) -> None:
        """No longer tell a watch."""
        self._watches.pop(watch, None)

    def _expect(self, key: Key, seen: Object | None) -> None:
        stored = self.get(key)
        if stored is not seen:
            raise Conflict(stored)

    def _tell(self, change: Change) -> None:
        if len(self._changes) == self._changes.maxlen:
            self._compacted = self._changes[0].revision
        self._changes.append(change)
        for watch in list(self._watches):
            watch.take(change)


class Watch:
    """Changes of one resource, one after the other. To be closed."""

    _MOST = 65536

    def __init__(self, store: Store, resource: str, missed: list[Change]) -> None:
        self._store, self._resource = store, resource
        self._pending = deque(missed)
        self._wake = asyncio.Event()
        self._expired = False

    def take(self, change: Change) -> None:
        """Remember a change until it is asked for; a watcher that reads nothing expires."""
        if change.key.resource != self._resource:
            return
        if len(self._pending) >= self._MOST:
            self._expired = True
            self.close()
        self._pending.append(change)
        self._wake.set()

    async def next(self) -> Change:
        """The next change, when there is one. Raises Expired."""
        while not self._pending:
            self._wake.clear()
            await self._wake.wait()
        if self._expired:
            raise Expired
        return self._pending.popleft()

    def ready(self) -> Iterator[Change]:
        """The changes that are there already."""
        while self._pending and not self._expired:
            yield self._pending.popleft()

    def close(self) -> None:
        """Stop listening."""
        self._store.forget(self)


def _at(value: Object, revision: int) -> Object:
    metadata: Mapping[str, Any] = value.get("metadata") or {}
    return {**value, "metadata": {**metadata, "resourceVersion": str(revision)}}
