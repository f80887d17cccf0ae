"""One pod on its node, from the moment that the kubelet hears of it until nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..client import Object
from ..controllers.conditions import is_true
from ..errors import ApiError, SecondhopError
from .container import Home
from .pod import PodRun, Seat

if TYPE_CHECKING:
    from .kubelet import Kubelet


class PodLife:
    """One pod here, from the moment that the kubelet hears of it."""

    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self._kubelet, self._pod = kubelet, pod
        self.uid = pod["metadata"]["uid"]
        self.home: Home | None = None
        self.pod_run: PodRun | None = None
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._cut = False
        self._grace = math.inf
        self._turned: dict[str, tuple[str, str]] = {}
        self._told: Object | None = None

    def hear(self, pod: Object) -> None:
        """The API says something new: its gates may have turned; others may have written that it
        is not ready, as happens to a node that fell silent; if it was deleted, it is to end within
        its grace period."""
        if self._told is not None and is_true(pod, "Ready") != is_true(
            {"status": self._told}, "Ready"
        ):
            self._told = None
        if self.pod_run is not None:
            self.pod_run.pod = pod
            self._news.set()
        if "deletionTimestamp" in pod["metadata"]:
            self._hurry(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def cut(self) -> None:
        """The API knows it no longer: end it now."""
        self._cut = True
        self._hurry(0.0)

    def _hurry(self, grace: float) -> None:
        if self._stop.is_set() and self.pod_run is not None and grace < self._grace:
            self.pod_run.end(grace)
        self._grace = min(grace, self._grace)
        self._stop.set()

    async def life(self) -> None:
        """From its network to the moment when nothing is left of it."""
        kubelet, pod = self._kubelet, self._pod
        seat = kubelet.seat(pod, self._news.set)
        if (home := await self._homed(seat)) is not None:
            self.home, self.pod_run = home, PodRun(pod, home, seat)
            living = asyncio.create_task(self.pod_run.live())
            telling = asyncio.create_task(self._tell())
            self._news.set()
            try:
                await self._stop.wait()
                self.pod_run.end(self._grace)
                await living
            finally:
                living.cancel()
                telling.cancel()
                await asyncio.gather(living, telling, return_exceptions=True)
                self.home = None
                kubelet.leave(pod, home)
            if not self._cut:
                await _stubbornly(lambda: kubelet.tell(pod, self._status()))
        if not self._cut:
            await _stubbornly(lambda: kubelet.gone(pod))

    async def _homed(self, seat: Seat) -> Home | None:
        """Its network, once there is one to be had; None if it is to end before."""
        while not self._stop.is_set():
            try:
                return await self._kubelet.home(self._pod)
            except (SecondhopError, OSError) as error:
                said = error.message if isinstance(error, SecondhopError) else str(error)
                seat.event("Warning", "FailedCreatePodSandBox", said)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._kubelet.timing.retry)
        return None

    async def _tell(self) -> None:
        """Tell the API of every change that lasts, and again what others wrote over."""
        while True:
            await self._news.wait()
            self._news.clear()
            status = self._status()
            if status != self._told:
                await _stubbornly(functools.partial(self._kubelet.tell, self._pod, status))
                self._told = status

    def _status(self) -> Object:
        """The status, each condition with the time when it last turned."""
        assert self.pod_run is not None
        status = self.pod_run.status()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for condition in status["conditions"]:
            before = self._turned.get(condition["type"])
            if before is None or before[0] != condition["status"]:
                self._turned[condition["type"]] = before = condition["status"], now
            condition |= {"lastProbeTime": None, "lastTransitionTime": before[1]}
        return status


async def _stubbornly(write: Callable[[], Any]) -> None:
    """A write that is tried until the API takes it, or has no such object any more."""
    pause = 0.05
    while True:
        try:
            await write()
            return
        except ApiError as error:
            if error.code in (404, 409, 422):
                return
        except OSError:
            pass
        await asyncio.sleep(pause)
        pause = min(2 * pause, 5.0)
