"""What the API answers without changing anything: get, list, watch."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import NamedTuple

from ..client.api import Event, Object
from ..manifests.api.field import invalid
from .kinds import Kind
from .refusals import bad_request, expired, not_found, too_large
from .selectors import Test, selector
from .store import Change, Expired, Key, Store

BOOKMARK_SECONDS = 60.0
INITIAL_END = "k8s.io/initial-events-end"


class Page(NamedTuple):
    """Objects in the order of namespace and name; token: where the next page starts, empty after
    the last; remaining: how many follow, None when that is not known."""

    items: Sequence[Object]
    revision: str
    token: str = ""
    remaining: int | None = None


class Reader:
    """The reading half of the server, over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """One object. ApiError 404."""
        found = self._store.get(Key(kind.stored.resource, namespace, name))
        if found is None:
            raise not_found(kind, name)
        return found

    def expect_reached(self, revision: str) -> None:
        """Raises ApiError 400 for a revision that is none, and 504 for one that is still to come:
        a client has it from another cluster, and begins anew."""
        if revision and _revision(revision) > self._store.revision:
            raise too_large(revision, self._store.revision)

    def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        token: str = "",
    ) -> Page:
        """The selected objects. limit: how many at most, unless it is 0 or less; token: of the page
        before.

        All pages of a list say the revision of the first, and may show later changes: a watch from
        there tells of those once more.
        """
        test = selector(kind, labels, fields)
        after, revision = _position(token) if token else (("", ""), str(self._store.revision))
        if token and not self._store.remembers(int(revision)):
            raise expired("The provided continue parameter is too old to display a consistent list")
        found = [
            (key, value)
            for key, value in self._store.list(kind.stored.resource, namespace)
            if (test is None or test(value)) and key[1:] > after
        ]
        if limit <= 0 or len(found) <= limit:
            return Page([value for _, value in found], revision)
        shown = found[:limit]
        remaining = len(found) - limit if test is None else None
        return Page(
            [value for _, value in shown], revision, _token(shown[-1][0], revision), remaining
        )

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        since: str = "",
        initial: bool = False,
        bookmark_seconds: float = BOOKMARK_SECONDS,
    ) -> AsyncGenerator[Event, None]:
        """Changes of the selected objects, and a bookmark whenever nothing happened for so long.
        An object that is no longer selected is DELETED.

        since: the revision after which to begin; empty or "0": first what there is, as ADDED.
        initial: the same, with a bookmark that says where that ends. Raises ApiError 400, 410, 504.
        """
        test = selector(kind, labels, fields)
        self.expect_reached(since)
        if not (initial or since in ("", "0") or self._store.remembers(int(since))):
            raise _too_old(since, self._store.revision)
        return self._follow(kind, namespace, test, since, initial, bookmark_seconds)

    async def _follow(
        self,
        kind: Kind,
        namespace: str,
        test: Test | None,
        since: str,
        initial: bool,
        bookmark_seconds: float,
    ) -> AsyncGenerator[Event, None]:
        start = self._store.revision
        if initial or since in ("", "0"):
            for _, value in self._store.list(kind.stored.resource, namespace):
                if test is None or test(value):
                    yield Event("ADDED", value)
            if initial:
                yield _bookmark(kind, start, {INITIAL_END: "true"})
        else:
            start = int(since)
        try:
            watch = self._store.watch(kind.stored.resource, start, _interest(namespace, test))
        except Expired:
            raise _too_old(str(start), self._store.revision) from None
        try:
            while True:
                for change in watch.ready():
                    yield _event(change, test)
                try:
                    async with asyncio.timeout(bookmark_seconds):
                        await watch.wait()
                except TimeoutError:
                    if watch.idle:  # else a change came with the timeout, and is told first
                        yield _bookmark(kind, self._store.revision)
        except Expired:
            raise _too_old(str(start), self._store.revision) from None
        finally:
            watch.close()


def _interest(namespace: str, test: Test | None) -> Callable[[Change], bool] | None:
    """Which changes a watch is to be told of; None for all."""
    if not namespace and test is None:
        return None

    def interested(change: Change) -> bool:
        if namespace and change.key.namespace != namespace:
            return False
        return test is None or any(map(test, _states(change)))

    return interested


def _states(change: Change) -> Iterator[Object]:
    if change.after is not None:
        yield change.after
    if change.before is not None:
        yield change.before


def _event(change: Change, test: Test | None) -> Event:
    """A change as somebody sees it who sees only what is selected."""
    was, now = (
        value is not None and (test is None or test(value))
        for value in (change.before, change.after)
    )
    return Event("ADDED" if not was else "MODIFIED" if now else "DELETED", change.last)


def _bookmark(kind: Kind, revision: int, annotations: dict[str, str] | None = None) -> Event:
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    value = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return Event("BOOKMARK", value)


def _revision(text: str) -> int:
    """A resourceVersion as a number. Raises ApiError 400; a real server says the same with 500."""
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64:
        return int(text)
    why = "invalid syntax" if not (text.isascii() and text.isdigit()) else "value out of range"
    quoted = f'strconv.ParseUint: parsing "{text}": {why}'
    raise bad_request(str(invalid(("resourceVersion",), text, quoted)))


def _too_old(since: str, revision: int) -> Exception:
    return expired(f"too old resource version: {since} ({revision})")


def _token(key: Key, revision: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([revision, key[1], key[2]]).encode()).decode()


def _position(token: str) -> tuple[tuple[str, str], str]:
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token))
        return (str(namespace), str(name)), str(_revision(revision))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise bad_request("continue key is not valid") from None
