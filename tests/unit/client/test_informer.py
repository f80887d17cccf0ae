"""The cache that a list and a watch keep, over the lab's own server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from ipaddress import ip_network
from typing import Any

import pytest

from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.local import LocalApi
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.client.api import Api, Event, Listing, Object
from secondhop.client.informer import Informer, Key
from secondhop.errors import ApiError

CIDR = ip_network("10.43.0.0/16")


class World:
    """A server, and an informer of ConfigMaps that runs."""

    def __init__(self, history: int = 4096, **which: str) -> None:
        self.store = Store(history)
        server = Server(self.store, [CIDR])
        bootstrap(server, CIDR)
        self.api: Api = LocalApi(server)
        self.told: list[tuple[str, str | None, str | None]] = []
        self.informer = Informer(self.flaky(), "ConfigMap", self.changed, **which)

    def flaky(self) -> Api:
        """The API as the informer sees it."""
        return self.api

    def changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        was, now = (None if value is None else value["data"]["v"] for value in (before, after))
        self.told.append((key[1], was, now))

    async def put(self, name: str, v: str, **metadata: Any) -> None:
        value = {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
        value |= {"data": {"v": v}}
        value["metadata"] |= metadata  # type: ignore[operator]
        try:
            await self.api.create(value)
        except ApiError:
            await self.api.update(value)

    async def until(self, *told: tuple[str, str | None, str | None]) -> None:
        """Everything told so far, once there is so much."""
        async with asyncio.timeout(5):
            while len(self.told) < len(told):
                await asyncio.sleep(0.001)
        assert self.told == list(told)


def run(world: World, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(world.informer.run())
        try:
            await story()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_it_follows_what_happens() -> None:
    world = World()

    async def story() -> None:
        await world.put("a", "1")
        assert not world.informer.synced.is_set()
        await asyncio.wait_for(world.informer.synced.wait(), 5)
        await world.until(("a", None, "1"))
        await world.put("a", "2")
        await world.put("b", "1")
        await world.api.delete("ConfigMap", "a", "default")
        await world.until(("a", None, "1"), ("a", "1", "2"), ("b", None, "1"), ("a", "2", None))
        assert list(world.informer.objects) == [("default", "b")]
        assert world.informer.get(("default", "a")) is None
        assert [value["data"] for value in world.informer] == [{"v": "1"}]

    run(world, story)


def test_it_sees_what_its_selector_selects() -> None:
    world = World(labels="app=web")

    async def story() -> None:
        await asyncio.wait_for(world.informer.synced.wait(), 5)
        await world.put("a", "1", labels={"app": "web"})
        await world.put("b", "1")
        await world.put("a", "2", labels={"app": "other"})
        await world.until(("a", None, "1"), ("a", "1", None))

    run(world, story)


def test_after_a_gap_it_tells_of_the_difference() -> None:
    """A watch that fell behind expires: the next list replaces the cache, and what had gone
    meanwhile is told of."""
    world = World()

    async def story() -> None:
        await world.put("gone", "1")
        await world.put("same", "1")
        await world.put("changed", "1")
        await asyncio.wait_for(world.informer.synced.wait(), 5)
        world.told.clear()
        await asyncio.sleep(0)
        (watch,) = world.store._watches["configmaps"]
        watch._expired = True
        await world.put("changed", "2")
        await world.api.delete("ConfigMap", "gone", "default")
        await world.put("new", "1")
        await world.until(("gone", "1", None), ("changed", "1", "2"), ("new", None, "1"))

    run(world, story)


class Broken:
    """An API that is away at first, then cuts every watch off, and lists what it is given."""

    def __init__(self, errors: list[Exception], listings: list[list[str]]) -> None:
        self._errors, self._listings = errors, listings

    async def list(self, *_: object, **__: object) -> Listing:
        if self._errors:
            raise self._errors.pop(0)
        data = self._listings.pop(0) if len(self._listings) > 1 else self._listings[0]
        items = [{"metadata": {"name": v, "namespace": "default"}, "data": {"v": v}} for v in data]
        return Listing(items, "1")

    async def watch(self, *_: object, **__: object) -> AsyncIterator[Event]:
        if False:
            yield


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError("gone"), ApiError(503, "ServiceUnavailable", "later"),
     ApiError(410, "Expired", "too old")],
)  # fmt: skip
def test_it_tries_again_until_the_api_is_there(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken([error, error], [["a"], ["a", "b"], ["b"]])
    monkeypatch.setattr(World, "flaky", lambda self: broken)
    monkeypatch.setattr("secondhop.client.informer._FIRST_PAUSE", 0.001)
    world = World()

    async def story() -> None:
        await world.until(("a", None, "a"), ("b", None, "b"), ("a", "a", None))

    run(world, story)


def test_it_ends_when_it_is_cancelled() -> None:
    world = World()

    async def story() -> None:
        await asyncio.wait_for(world.informer.synced.wait(), 5)

    run(world, story)
    assert not any(world.store._watches.values())


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(ApiError) as error:
        asyncio.run(World().api.get("Teapot", "one"))
    assert error.value.code == 404
