"""A cache of some objects, kept by a list and a watch that never lose a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from ..errors import ApiError
from .api import Api, Event, Object, meta

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0

Key = tuple[str, str]
"""Namespace and name."""


class Informer:
    """What an API knows of one kind. `run` keeps it; `changed` is called after each change with
    the key, and what stood there before and stands there now.

    An object is told of at least once for each state that lasts; states that are overtaken may be
    left out. While the API is away the cache stays as it was.
    """

    def __init__(
        self,
        api: Api,
        kind: str,
        changed: Callable[[Key, Object | None, Object | None], None] = lambda *_: None,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
    ) -> None:
        self._api, self._kind, self._changed = api, kind, changed
        self._namespace, self._labels, self._fields = namespace, labels, fields
        self._objects: dict[Key, Object] = {}
        self._heard = False
        self.synced = asyncio.Event()
        """Set once the first list is in."""

    def __iter__(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def get(self, key: Key) -> Object | None:
        """The object as last told; None if there is none."""
        return self._objects.get(key)

    @property
    def objects(self) -> Mapping[Key, Object]:
        """All of them, by namespace and name."""
        return self._objects

    async def run(self) -> None:
        """List and watch until cancelled; whatever the API answers, try again, the slower the less
        it tells."""
        pause = _FIRST_PAUSE
        while True:
            self._heard = False
            with suppress(ApiError, OSError):
                await self._follow()
            if self._heard:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _follow(self) -> None:
        """One list, and its watch until that ends."""
        listing = await self._api.list(
            self._kind, self._namespace, labels=self._labels, fields=self._fields
        )
        self._replace({meta(value): value for value in listing.items})
        self.synced.set()
        async for event in self._api.watch(
            self._kind,
            self._namespace,
            labels=self._labels,
            fields=self._fields,
            since=listing.revision,
        ):
            self._heard = True
            self._take(event)

    def _replace(self, objects: Mapping[Key, Object]) -> None:
        for key in self._objects.keys() - objects.keys():
            self._changed(key, self._objects.pop(key), None)
        for key, value in objects.items():
            self._put(key, value)

    def _take(self, event: Event) -> None:
        key = meta(event.object)
        if event.type == "DELETED":
            self._changed(key, self._objects.pop(key, None), None)
        elif event.type != "BOOKMARK":
            self._put(key, event.object)

    def _put(self, key: Key, value: Object) -> None:
        before = self._objects.get(key)
        self._objects[key] = value
        if before is None or before["metadata"] != value["metadata"] or before != value:
            self._changed(key, before, value)
