"""The store: revisions, optimistic concurrency, watches with history."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.store import Change, Conflict, Expired, Key, Store

A, B = Key("things", "one", "a"), Key("things", "one", "b")
OTHER = Key("others", "one", "a")


def made(store: Store, *keys: Key) -> list[dict[str, Any]]:
    return [store.put(key, {"metadata": {"name": key.name}}, None) for key in keys]


def test_each_write_has_the_next_revision() -> None:
    store = Store()
    first, second = made(store, A, B)
    third = store.put(A, {**first, "x": 1}, first)
    gone = store.delete(B, second, second)
    revisions = [one["metadata"]["resourceVersion"] for one in (first, second, third, gone)]
    assert revisions == ["2", "3", "4", "5"]
    assert store.get(A) is third
    assert store.get(B) is None


def test_what_was_stored_is_never_changed() -> None:
    store, value = Store(), {"metadata": {"name": "a"}}
    stored = store.put(A, value, None)
    assert value == {"metadata": {"name": "a"}}
    store.put(A, {**stored, "x": 1}, stored)
    assert stored == {"metadata": {"name": "a", "resourceVersion": "2"}}


def test_a_writer_that_has_not_seen_the_latest_conflicts() -> None:
    store = Store()
    (first,) = made(store, A)
    second = store.put(A, first, first)
    for seen in first, None:
        with pytest.raises(Conflict) as error:
            store.put(A, first, seen)
        assert error.value.stored is second
    with pytest.raises(Conflict) as error:
        store.delete(A, first, first)
    assert error.value.stored is second
    with pytest.raises(Conflict):
        store.put(B, first, first)
    assert store.revision == 3


def test_lists_are_of_one_resource_and_in_order() -> None:
    store = Store()
    keys = [Key("things", space, name) for space in ("b", "a") for name in ("2", "10", "1")]
    made(store, *keys, OTHER)
    assert [key for key, _ in store.list("things")] == sorted(keys)
    assert [key.name for key, _ in store.list("things", "a")] == ["1", "10", "2"]
    assert store.list("nothing") == []


def told(store: Store, since: int, **how: Any) -> list[tuple[int, str]]:
    watch = store.watch("things", since, **how)
    return [(change.revision, change.key.name) for change in watch.ready()]


def test_a_watch_begins_after_a_revision() -> None:
    store = Store()
    made(store, A, OTHER, B)
    assert told(store, 1) == [(2, "a"), (4, "b")]
    assert told(store, 2) == [(4, "b")]
    assert told(store, 4) == []
    assert told(store, 1, wanted=lambda change: change.key == B) == [(4, "b")]


def test_what_is_forgotten_has_expired() -> None:
    store = Store(history=2)
    made(store, A, B)
    assert told(store, 1) == [(2, "a"), (3, "b")]
    made(store, OTHER)
    assert not store.remembers(1)
    with pytest.raises(Expired):
        store.watch("things", 1)
    assert told(store, 2) == [(3, "b")]
    watch = store.watch("things", 2)
    made(store, Key("others", "one", "b"))
    assert [change.revision for change in watch.ready()] == [3]
    with pytest.raises(Expired):
        store.watch("things", 2)


def test_a_watch_wakes_for_what_it_wants_only() -> None:
    async def main() -> list[Change]:
        store = Store()
        watch = store.watch("things", 1, lambda change: change.key == B)
        waiting = asyncio.ensure_future(watch.wait())
        made(store, A, OTHER)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert watch.idle
        made(store, B)
        await asyncio.wait_for(waiting, 5)
        found = list(watch.ready())
        watch.close()
        watch.close()
        store.delete(B, found[0].last, found[0].last)
        assert watch.idle
        return found

    (change,) = asyncio.run(main())
    assert change.before is None
    assert change.after is change.last


def test_a_watch_that_falls_further_behind_than_the_history_expires() -> None:
    store = Store(history=2)
    watch = store.watch("things", 1)
    made(store, A, B)
    assert [change.revision for change in watch.ready()] == [2, 3]
    made(store, *(Key("things", "", name) for name in "cde"))
    assert not store._watches["things"]
    with pytest.raises(Expired):
        list(watch.ready())


def test_objects_that_come_and_go_leave_nothing_behind() -> None:
    """Counted in objects, not in bytes: as many after 2,000 writes more, whoever watches."""
    store = Store(history=100)
    read, unread = store.watch("things", 1), store.watch("things", 1)

    def after(writes: range) -> int:
        for n in writes:
            key = Key("things", "", f"{n}")
            made(store, key)
            value = store.get(key)
            assert value is not None
            store.delete(key, value, value)
            for _ in read.ready():
                pass
        gc.collect()
        return len(gc.get_objects())

    first = after(range(1000))
    second = after(range(1000, 2000))
    assert second - first < 100
    with pytest.raises(Expired):
        list(unread.ready())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())), st.integers(0, 20))
def test_a_list_and_the_changes_after_it_are_the_present(
    writes: list[tuple[str, bool]], when: int
) -> None:
    store = Store()
    seen: dict[Key, Any] = {}
    since = 1
    for n, (name, keep) in enumerate(writes):
        if n == when:
            seen, since = dict(store.list("things")), store.revision
        key = Key("things", "", name)
        old = store.get(key)
        if keep:
            store.put(key, {"metadata": {}, "n": n}, old)
        elif old is not None:
            store.delete(key, old, old)
    for change in store.watch("things", since).ready():
        assert seen.get(change.key) == change.before
        if change.after is None:
            del seen[change.key]
        else:
            seen[change.key] = change.after
    assert seen == dict(store.list("things"))
