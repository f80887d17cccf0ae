"""What the API last told of one kind, for several controllers: with indexes, and with writes that
wait until the watch has told of them, so that who wrote never acts on an older state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import TypeAlias

from ..client import Api, Object, meta
from ..client.api import USUAL, Deletion
from ..client.informer import Informer, Key

_PATIENCE = 10.0  # seconds; while the watch is that late, nothing else here is true either

Heard: TypeAlias = Callable[[Key, Object | None, Object | None], None]
"""Told of a change: the key, what stood there before, and what stands there now."""
Seen: TypeAlias = Callable[[Object | None], bool]
By: TypeAlias = Callable[[Object], Iterable[Hashable]]
"""The values under which an index keeps an object."""


class Cache:
    """The objects of one kind. `listen` and `index` come before `run`."""

    def __init__(self, api: Api, kind: str) -> None:
        self._api = api
        self._informer = Informer(api, kind, self._changed)
        self._indexes: dict[By, dict[Hashable, dict[Key, Object]]] = {}
        self._listeners: list[Heard] = []
        self._awaited: dict[Key, list[tuple[Seen, asyncio.Future[None]]]] = {}

    def __iter__(self) -> Iterator[Object]:
        return iter(self._informer)

    def get(self, key: Key) -> Object | None:
        """The object as last told."""
        return self._informer.get(key)

    def index(self, by: By) -> Callable[[Hashable], Collection[Object]]:
        """A look-up of the objects that a function puts under a value."""
        found = self._indexes.setdefault(by, {})
        return lambda value: found[value].values() if value in found else ()

    def listen(self, heard: Heard) -> None:
        """Be told of every change."""
        self._listeners.append(heard)

    async def run(self) -> None:
        """Keep it until cancelled."""
        await self._informer.run()

    async def filled(self) -> None:
        """Wait for the first list."""
        await self._informer.synced.wait()

    async def create(self, value: Object) -> Object:
        """Create an object; as stored."""
        stored = await self._api.create(value)
        await self._told(stored, lambda now: now is not None and _reaches(now, stored))
        return stored

    async def update(self, value: Object, subresource: str = "") -> Object:
        """Replace an object of this cache; as stored."""
        stored = await self._api.update(value, subresource=subresource)
        await self._told(stored, lambda now: now is None or _reaches(now, stored))
        return stored

    async def delete(self, value: Object, how: Deletion = USUAL) -> None:
        """Delete an object of this cache, or begin to."""
        namespace, name = meta(value)
        uid = value["metadata"]["uid"]
        how = Deletion(how.grace, how.propagation, uid)
        await self._api.delete(value["kind"], name, namespace, how)
        await self._told(
            value,
            lambda now: (
                now is None
                or now["metadata"]["uid"] != uid
                or "deletionTimestamp" in now["metadata"]
            ),
        )

    async def bind(self, pod: Object, node: str) -> None:
        """Bind a pod of this cache to a node."""
        namespace, name = meta(pod)
        metadata = {"namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        await self._api.create(
            {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target},
            subresource="binding",
        )
        await self._told(pod, lambda now: now is None or bool(now["spec"].get("nodeName")))

    async def _told(self, value: Object, seen: Seen) -> None:
        """Wait until what stands at its key is as a write left it, or later."""
        key = meta(value)
        if seen(self.get(key)):
            return
        waiting = seen, asyncio.get_running_loop().create_future()
        self._awaited.setdefault(key, []).append(waiting)
        try:
            async with asyncio.timeout(_PATIENCE):
                await waiting[1]
        except TimeoutError:
            pass
        finally:
            self._awaited[key].remove(waiting)
            if not self._awaited[key]:
                del self._awaited[key]

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        for by, found in self._indexes.items():
            for value in set(by(before)) if before is not None else ():
                del found[value][key]
                if not found[value]:
                    del found[value]
            if after is not None:
                for value in by(after):
                    found.setdefault(value, {})[key] = after
        for seen, future in self._awaited.get(key, ()):
            if seen(after) and not future.done():
                future.set_result(None)
        for heard in self._listeners:
            heard(key, before, after)


def _reaches(now: Object, stored: Object) -> bool:
    """Whether the watch has told of a write: of this revision of the object, or a later one."""
    metadata, written = now["metadata"], stored["metadata"]
    return (
        metadata["uid"] != written["uid"]
        or metadata["resourceVersion"] == written["resourceVersion"]
        or int(metadata["resourceVersion"]) > int(written["resourceVersion"])
    )
