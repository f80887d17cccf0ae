"""Get, list in pages, watch through selectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from support import pod

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.reading import INITIAL_END
from secondhop.apiserver.server import Server
from secondhop.client.api import Event
from secondhop.errors import ApiError

from .helpers import a_server, config_map, create, refusal

MAPS, PODS = KINDS["ConfigMap"], KINDS["Pod"]


def test_what_is_not_there() -> None:
    with pytest.raises(ApiError) as error:
        a_server().get(KINDS["Deployment"], "x", "default")
    assert refusal(error) == (404, "NotFound", 'deployments.apps "x" not found')
    assert error.value.details == {"name": "x", "group": "apps", "kind": "deployments"}


def filled(number: int = 7) -> Server:
    server = a_server()
    for n in range(number):
        create(server, "ConfigMap", config_map(f"m{n}"))
    return server


def test_pages_make_the_whole_list() -> None:
    server = filled()
    whole = server.list(MAPS)
    first = server.list(MAPS, limit=3)
    second = server.list(MAPS, limit=3, token=first.token)
    third = server.list(MAPS, limit=3, token=second.token)
    assert [*first.items, *second.items, *third.items] == whole.items
    assert [page.remaining for page in (first, second, third)] == [4, 1, None]
    assert third.token == "" == whole.token
    assert server.list(MAPS, limit=7).token == ""
    assert server.list(MAPS, limit=2, labels="!x").remaining is None


def test_later_pages_say_the_revision_of_the_first() -> None:
    """So that a watch from there tells of all that changed in between."""
    server = filled()
    first = server.list(MAPS, limit=3)
    create(server, "ConfigMap", config_map("m0a"))
    assert server.list(MAPS, limit=3, token=first.token).revision == first.revision


def test_a_page_after_its_history_has_expired() -> None:
    server = a_server(history=1)
    for n in range(3):
        create(server, "ConfigMap", config_map(f"m{n}"))
    token = server.list(MAPS, limit=1).token
    create(server, "ConfigMap", config_map("m8"))
    server.list(MAPS, limit=1, token=token)
    create(server, "ConfigMap", config_map("m9"))
    with pytest.raises(ApiError) as error:
        server.list(MAPS, limit=1, token=token)
    assert error.value.code == 410


@pytest.mark.parametrize("token", ["x", "e30=", "W10=", "WyJhIiwiYiIsImMiXQ=="])
def test_a_token_that_is_none(token: str) -> None:
    with pytest.raises(ApiError) as error:
        a_server().list(MAPS, token=token)
    assert error.value.code == 400


async def next_of(watch: AsyncGenerator[Event, None], number: int) -> list[tuple[str, str]]:
    """The type and the name (of a bookmark, the revision) of so many events."""
    found: list[tuple[str, str]] = []
    for _ in range(number):
        event = await asyncio.wait_for(anext(watch), 5)
        metadata = event.object["metadata"]
        found.append((event.type, metadata.get("name") or metadata["resourceVersion"]))
    return found


def test_a_watch_sees_objects_enter_and_leave_its_selection() -> None:
    async def main() -> list[tuple[str, str]]:
        server = a_server()
        since = server.list(PODS).revision
        watch = server.watch(PODS, "default", labels="app=web", since=since)
        waiting = asyncio.ensure_future(next_of(watch, 5))
        await asyncio.sleep(0)
        create(server, "Pod", pod("a", "n1"))
        create(server, "Pod", pod("b", "n1", app="other"))
        for labels in ({"tier": "x"}, {"app": "other"}, {"tier": "y"}, {"app": "web"}):
            server.patch(PODS, "a", {"metadata": {"labels": labels}}, "default", "merge")
        server.delete(PODS, "b", "default")
        server.delete(PODS, "a", "default")
        found = await waiting
        await watch.aclose()
        return found

    a = "a"
    assert asyncio.run(main()) == [
        ("ADDED", a), ("MODIFIED", a), ("DELETED", a), ("ADDED", a), ("MODIFIED", a),
    ]  # fmt: skip


def test_a_watch_of_one_namespace_and_one_node() -> None:
    async def main() -> None:
        server = a_server()
        watch = server.watch(PODS, "default", fields="spec.nodeName=n1", since="1")
        create(server, "Pod", pod("a", "n2"))
        here = pod("c", "n1")
        here["metadata"]["namespace"] = "kube-system"
        create(server, "Pod", here)
        create(server, "Pod", pod("b", "n1"))
        assert await next_of(watch, 1) == [("ADDED", "b")]
        await watch.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(("since", "initial"), [("", False), ("0", False), ("", True), ("3", True)])
def test_a_watch_that_begins_with_what_there_is(since: str, initial: bool) -> None:
    async def main() -> list[tuple[str, str]]:
        server = filled(2)
        watch = server.watch(MAPS, since=since, initial=initial)
        first = await next_of(watch, 1)
        create(server, "ConfigMap", config_map("new"))
        found = first + await next_of(watch, 3 if initial else 2)
        await watch.aclose()
        return found

    begun = [("ADDED", "m0"), ("ADDED", "m1")]
    mark = [("BOOKMARK", "9")] if initial else []
    assert asyncio.run(main()) == [*begun, *mark, ("ADDED", "new")]


def test_bookmarks() -> None:
    async def main() -> None:
        server = filled(1)
        watch = server.watch(MAPS, since="1", initial=True, bookmark_seconds=0.01)
        events = [await asyncio.wait_for(anext(watch), 5) for _ in range(3)]
        assert [event.type for event in events] == ["ADDED", "BOOKMARK", "BOOKMARK"]
        first, second = (event.object for event in events[1:])
        assert first["metadata"]["annotations"] == {INITIAL_END: "true"}
        assert "annotations" not in second["metadata"]
        for each in first, second:
            assert (each["kind"], each["metadata"]["resourceVersion"]) == ("ConfigMap", "8")
        await watch.aclose()

    asyncio.run(main())


def test_a_watch_from_before_the_history() -> None:
    server = a_server(history=2)
    with pytest.raises(ApiError) as error:
        server.watch(MAPS, since="1")
    assert refusal(error) == (410, "Expired", "too old resource version: 1 (7)")


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "²", "9" * 30])
def test_a_watch_from_what_is_no_revision(since: str) -> None:
    with pytest.raises(ApiError, match=r"strconv\.ParseUint") as error:
        a_server().watch(MAPS, since=since)
    assert error.value.code == 400


@pytest.mark.parametrize("initial", [True, False])
def test_a_watch_from_another_clusters_revision_is_told_to_begin_anew(initial: bool) -> None:
    with pytest.raises(ApiError, match="Too large resource version: 1000, current: 7") as error:
        a_server().watch(MAPS, since="1000", initial=initial)
    assert (error.value.code, error.value.reason) == (504, "Timeout")
    (cause,) = error.value.details["causes"]
    assert cause["reason"] == "ResourceVersionTooLarge"


def test_a_watch_whose_start_is_forgotten_before_it_is_read() -> None:
    async def main() -> None:
        server = a_server(history=2)
        watch = server.watch(MAPS, since="7")
        for n in range(3):
            create(server, "ConfigMap", config_map(f"m{n}"))
        with pytest.raises(ApiError) as error:
            await anext(watch)
        assert error.value.code == 410

    asyncio.run(main())


def test_a_watch_that_ends_is_forgotten() -> None:
    async def main() -> None:
        server = filled(1)
        watch = server.watch(MAPS)
        await next_of(watch, 1)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        watches: dict[str, Any] = server._store._watches
        assert len(watches["configmaps"]) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not watches["configmaps"]

    asyncio.run(main())
