"""The queue, the worker and the cache that controllers stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from secondhop.client import Event, Listing, Object
from secondhop.client.informer import Key
from secondhop.controllers.cache import Cache
from secondhop.controllers.garbage import by_owner
from secondhop.controllers.loop import Context, Controller, Queue, Settings
from secondhop.controllers.owners import by_controller, by_namespace
from secondhop.errors import ApiError

from .play import virtually


def test_a_key_waits_once_and_in_its_turn() -> None:
    async def main() -> None:
        queue = Queue()
        for key in "abab":
            queue.add(key)
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        queue.add("a")
        assert await queue.get() == "a"

    virtually(main())


def test_of_two_moments_the_earlier_counts() -> None:
    async def main() -> None:
        queue, loop = Queue(), asyncio.get_running_loop()
        queue.later("a", 10)
        queue.later("a", 5)
        queue.later("a", 20)
        assert await queue.get() == "a"
        assert loop.time() == pytest.approx(5)
        queue.later("a", 1)
        queue.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 60)

    virtually(main())


class Failing(Controller):
    name = "failing"

    def __init__(self, times: int) -> None:
        super().__init__(Context(Fixed(), Settings()))
        self.left, self.tried = times, list[float]()

    async def reconcile(self, key: Any) -> float | None:
        self.tried.append(asyncio.get_running_loop().time())
        if self.left:
            self.left -= 1
            raise ApiError(409, "Conflict", "no")
        return None


def test_what_fails_is_tried_again_later_and_later_but_not_never() -> None:
    async def main() -> None:
        controller = Failing(20)
        work = asyncio.ensure_future(controller.work())
        controller.queue.add("a")
        await asyncio.sleep(1000)
        tried = zip(controller.tried, controller.tried[1:], strict=False)
        pauses = [round(b - a, 6) for a, b in tried]
        assert len(pauses) == 20
        assert pauses == sorted(pauses)
        assert pauses[0] == pytest.approx(0.005, rel=0.01)
        assert pauses[-1] == pytest.approx(30)
        controller.queue.add("a")  # it succeeded in between: failures begin at the beginning
        controller.left = 1
        await asyncio.sleep(1)
        assert controller.tried[-1] - controller.tried[-2] < 0.01
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled()

    virtually(main())


def test_a_mistake_about_one_object_is_told_and_the_others_do_not_suffer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Wrong(Failing):
        async def reconcile(self, key: Any) -> float | None:
            if key == "odd":
                raise KeyError("operator")
            seen.append(key)
            return None

    seen: list[str] = []

    async def main() -> None:
        controller = Wrong(0)
        controller.queue.add("odd")
        controller.queue.add("good")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(controller.work(), 0.001)
        assert seen == ["good"]

    virtually(main())
    assert "failing cannot deal with odd" in caplog.text
    assert "KeyError: 'operator'" in caplog.text


def thing(name: str, revision: int, uid: str = "", **metadata: Any) -> Object:
    own = {"name": name, "namespace": "default", "uid": uid or name}
    metadata = {**own, "resourceVersion": str(revision), **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Fixed:
    """An API whose watch tells what a test says, when it says so."""

    def __init__(self, *items: Object) -> None:
        self._items = items
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def get(self, kind: str, name: str, namespace: str = "") -> Object:
        raise ApiError(404, "NotFound", "no")

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        return Listing(self._items, "1")

    async def watch(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", since: str
    ) -> AsyncIterator[Event]:
        while True:
            yield await self.events.get()

    async def create(self, value: Object, *, subresource: str = "") -> Object:
        return value

    async def update(self, value: Object, *, subresource: str = "") -> Object:
        return value

    async def patch(self, *args: Any, **options: Any) -> Object:
        raise NotImplementedError

    async def delete(self, kind: str, name: str, namespace: str = "", *_: Any) -> Object:
        return thing(name, 0)


async def cached(*items: Object) -> tuple[Fixed, Cache, asyncio.Task[None]]:
    api = Fixed(*items)
    cache = Cache(api, "ConfigMap")
    cache.index(by_namespace)
    task = asyncio.ensure_future(cache.run())
    await cache.filled()
    return api, cache, task


def test_who_writes_goes_on_when_the_watch_has_told_of_it() -> None:
    async def main() -> None:
        api, cache, task = await cached(thing("old", 1))
        loop = asyncio.get_running_loop()

        async def takes(write: Any, *events: Event) -> float:
            start = loop.time()
            writing = asyncio.ensure_future(write)
            for event in events:
                await asyncio.sleep(1)
                api.events.put_nowait(event)
            await writing
            return loop.time() - start

        new = thing("new", 5)
        stale = Event("MODIFIED", thing("old", 3))
        assert await takes(cache.create(new), stale, Event("ADDED", new)) == pytest.approx(2)
        changed = thing("old", 6)
        late = Event("MODIFIED", thing("old", 4)), Event("MODIFIED", thing("old", 7))
        assert await takes(cache.update(changed), *late) == pytest.approx(2)
        marked = Event("MODIFIED", thing("old", 8, deletionTimestamp="now"))
        assert await takes(cache.delete(changed), marked) == pytest.approx(1)
        gone = Event("DELETED", thing("new", 9))
        assert await takes(cache.delete(new), gone) == pytest.approx(1)
        # a watch that never tells holds nobody up for ever
        assert await takes(cache.create(thing("lost", 10))) == pytest.approx(10)
        task.cancel()

    virtually(main())


def test_indexes_follow_every_change() -> None:
    async def main() -> None:
        owner = {"kind": "X", "name": "x", "uid": "x", "controller": True}
        api = Fixed(thing("a", 1), thing("b", 1, ownerReferences=[owner]))
        cache = Cache(api, "ConfigMap")
        heard: list[Key] = []
        owned, inside = cache.index(by_controller), cache.index(by_namespace)
        owners = cache.index(by_owner)
        cache.listen(lambda key, *_: heard.append(key))
        task = asyncio.ensure_future(cache.run())
        await cache.filled()

        def names(found: Any) -> list[str]:
            return sorted(one["metadata"]["name"] for one in found)

        assert names(owned("x")) == ["b"]
        assert names(owned(("", "default"))) == ["a"]
        api.events.put_nowait(Event("MODIFIED", thing("a", 2, ownerReferences=[owner])))
        api.events.put_nowait(Event("DELETED", thing("b", 3)))
        await asyncio.sleep(1)
        assert names(owned("x")) == ["a"]
        assert names(owned(("", "default"))) == []
        assert names(inside("default")) == ["a"]
        assert [key[1] for key in heard] == ["a", "b", "a", "b"]
        twice = thing("a", 4, ownerReferences=[owner, owner])
        api.events.put_nowait(Event("MODIFIED", twice))
        api.events.put_nowait(Event("DELETED", twice))
        await asyncio.sleep(1)
        assert not owners("x")
        task.cancel()

    virtually(main())
