"""Events do not stay for ever: an hour, and the latest few of each object."""

from __future__ import annotations

from collections.abc import Iterator

from ..client import Object, meta
from ..client.informer import Key
from .loop import Context, Controller
from .times import since_1970

_LIFE, _MOST = 3600.0, 25


def by_subject(event: Object) -> Iterator[tuple[str, str]]:
    """Index: Events by the object that they are about."""
    subject = event.get("involvedObject") or {}
    yield subject.get("kind") or "", subject.get("uid") or subject.get("name") or ""


def last_seen(event: Object) -> str:
    """When it last happened."""
    return str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])


class EventHistory(Controller):
    """Events -> fewer Events."""

    name = "event-history"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._events = context.cache("Event")
        self._about = self._events.index(by_subject)
        self._events.listen(self._changed)

    async def reconcile(self, key: Key) -> float | None:
        """Delete an Event that is an hour old, and the oldest ones beside it that are too many."""
        event = self._events.get(key)
        if event is None:
            return None
        (subject,) = by_subject(event)
        beside = sorted(self._about(subject), key=lambda one: (last_seen(one), meta(one)))
        for one in beside[:-_MOST]:
            await self._events.delete(one)
        left = since_1970(last_seen(event)) + _LIFE - self.context.settings.now()
        if left > 0:
            return left
        if self._events.get(key) is not None:
            await self._events.delete(event)
        return None

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        if before is None:
            self.queue.add(key)
