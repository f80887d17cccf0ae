"""Events: what `kubectl describe` shows at the end. The same thing happening again is counted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from ..client import Api, Object, meta
from ..errors import ApiError
from .times import stamp

_REMEMBERED = 1000


class _What(NamedTuple):
    """What makes two Events the same one."""

    version: str
    kind: str
    namespace: str
    name: str
    uid: str
    source: str
    type: str
    reason: str
    message: str


class Recorder:
    """Writes Events, in its own time: who tells of something never waits, and never fails."""

    def __init__(self, api: Api, now: Callable[[], float]) -> None:
        self._api, self._now = api, now
        self._pending: dict[_What, tuple[int, float]] = {}
        self._written: OrderedDict[_What, Object] = OrderedDict()
        self._wake = asyncio.Event()
        self._number = 0

    def tell(
        self,
        about: Object,
        source: str,
        reason: str,
        message: str,
        type: Literal["Normal", "Warning"] = "Normal",
    ) -> None:
        """Something happened to an object. source: the component that says so."""
        namespace, name = meta(about)
        uid = about["metadata"].get("uid", "")
        what = _What(
            about["apiVersion"], about["kind"], namespace, name, uid, source, type, reason, message
        )
        count, _ = self._pending.get(what, (0, 0.0))
        self._pending[what] = count + 1, self._now()
        self._wake.set()

    async def run(self) -> None:
        """Write what was told, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                what, (count, last) = next(iter(self._pending.items()))
                del self._pending[what]
                try:
                    await self._write(what, count, last)
                except (ApiError, OSError):
                    self._written.pop(what, None)

    async def _write(self, what: _What, count: int, last: float) -> None:
        before = self._written.get(what)
        if before is None:
            self._number += 1
            name = f"{what.name}.{int(last * 1e9) + self._number:x}"
            event = await self._api.create(_event(what, name, count, last))
        else:
            namespace, name = meta(before)
            change = {"count": before["count"] + count, "lastTimestamp": stamp(last)}
            event = await self._api.patch("Event", name, namespace, change)
        self._written[what] = event
        self._written.move_to_end(what)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


def _event(what: _What, name: str, count: int, last: float) -> Object:
    """An Event object; of something without a namespace it is kept in `default`."""
    involved: Mapping[str, str] = {
        "apiVersion": what.version,
        "kind": what.kind,
        "namespace": what.namespace,
        "name": what.name,
        "uid": what.uid,
    }
    when = stamp(last)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": what.namespace or "default", "name": name},
        "involvedObject": {field: value for field, value in involved.items() if value},
        "reason": what.reason,
        "message": what.message,
        "type": what.type,
        "source": {"component": what.source},
        "reportingComponent": what.source,
        "reportingInstance": "",
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": count,
    }
