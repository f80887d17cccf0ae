"""What every controller stands on: a queue of keys, and a worker that looks at one after the other.

All waiting goes through the event loop's clock; what time of day it is comes from the Settings.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from ..client import Api
from ..errors import ApiError
from ..model.cluster import Network
from ..model.version import NEWEST, KubeVersion
from .cache import Cache
from .events import Recorder

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a cluster's owner decides.

    placement: workload -> the nodes that its replicas prefer (a Lab's). node_grace_seconds: how
    long a node may be silent. pool: addresses for LoadBalancer Services; empty: nobody gives any.
    now: seconds since 1970, for timestamps.
    """

    placement: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    node_grace_seconds: float = 50
    pool: tuple[Network, ...] = ()
    kube_version: KubeVersion = NEWEST
    now: Callable[[], float] = time.time


class Context:
    """What controllers share: the API, one cache for each kind, and who writes their Events."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self.api, self.settings = api, settings
        self.caches: dict[str, Cache] = {}
        self.events = Recorder(api, settings.now)
        self._shared: dict[object, object] = {}

    def cache(self, kind: str) -> Cache:
        """The cache of a kind."""
        if kind not in self.caches:
            self.caches[kind] = Cache(self.api, kind)
        return self.caches[kind]

    def share(self, make: Callable[[Context], T]) -> T:
        """What several controllers need the same one of."""
        if make not in self._shared:
            self._shared[make] = make(self)
        return cast(T, self._shared[make])


class Queue:
    """Keys that are to be looked at: each waits once, in the order in which they came."""

    def __init__(self) -> None:
        self._due: dict[Hashable, None] = {}
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._failures: Counter[Hashable] = Counter()
        self._wake = asyncio.Event()

    def add(self, key: Hashable) -> None:
        """Look at it soon."""
        self._due[key] = None
        self._wake.set()

    def later(self, key: Hashable, seconds: float) -> None:
        """Look at it after so long, unless an earlier moment is set already."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._ring, key)

    def failed(self, key: Hashable) -> None:
        """Look at it again, the later the more often it has failed in a row."""
        pause = _FIRST_PAUSE * 2 ** min(self._failures[key], 16)
        self._failures[key] += 1
        self.later(key, min(pause, _LONGEST_PAUSE))

    def succeeded(self, key: Hashable) -> None:
        """Forget its failures."""
        self._failures.pop(key, None)

    async def get(self) -> Any:
        """The next key, when there is one; it no longer waits."""
        while not self._due:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._due))
        del self._due[key]
        return key

    def close(self) -> None:
        """Ring no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ring(self, key: Hashable) -> None:
        del self._timers[key]
        self.add(key)


class Controller:
    """Looks at one object at a time and writes what it lacks. A constructor says which caches make
    which keys due; nothing is looked at before all caches are filled."""

    name: ClassVar[str]
    """As its Events state it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.queue = Queue()

    async def reconcile(self, key: Any) -> float | None:
        """Look at one; the seconds after which to look again even if nothing changes. May raise
        ApiError or OSError: then it is looked at again, after a pause."""
        raise NotImplementedError

    async def work(self) -> None:
        """Look at what is due until cancelled. A mistake of ours about one object is logged; the
        others do not suffer from it."""
        try:
            while True:
                key = await self.queue.get()
                try:
                    again = await self.reconcile(key)
                except (ApiError, OSError):
                    self.queue.failed(key)
                except Exception:
                    _LOG.exception("%s cannot deal with %s", self.name, key)
                    self.queue.failed(key)
                else:
                    self.queue.succeeded(key)
                    if again is not None:
                        self.queue.later(key, again)
        finally:
            self.queue.close()
