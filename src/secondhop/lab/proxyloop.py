"""What drives a node's proxy, ours or a stock one: a sync whenever there is something new, and
another try of what failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias

from ..client import Object
from ..errors import LabError
from ..model.cluster import Cluster
from .view import View

RESYNC_SECONDS = 30.0
"""kube-proxy's syncPeriod: how often it looks whether somebody else has changed the rules."""

_BURST = 3
"""Syncs that may follow each other at once."""
_REST, _LONGEST_REST = 3, 1.0
"""When more is changing, a proxy rests after each so many times as long as it took, at most a
second: changes go together, and the time is left for others."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0

Tell: TypeAlias = Callable[[Object, str, str], None]
"""Takes an Event: about which object, the reason, the message."""


class Syncing(Protocol):
    """A node's proxy."""

    async def sync(self, cluster: Cluster) -> None:
        """Make the node's kernel agree with the cluster's objects. Raises LabError, OSError: then
        a later sync does the rest."""

    async def touched(self) -> bool:
        """Whether somebody else has changed the rules, so that a sync is due. Raises LabError,
        OSError if it cannot be told."""
        ...


class ProxyLoop:
    """One node's proxy at work.

    tell: takes Events. turned: called when `agreed` or `complaint` has changed.
    """

    def __init__(
        self, node: str, proxy: Syncing, tell: Tell, turned: Callable[[], None] = lambda: None
    ) -> None:
        self.agreed: Cluster | None = None
        """What the kernel was last brought to, all of it."""
        self.complaint: LabError | None = None
        """Why it could not be brought any further; None while it can."""
        self.failing_since = 0.0
        self._node, self._proxy, self._tell, self._turned = node, proxy, tell, turned

    async def run(self, view: View) -> None:
        """Follow the API until cancelled. What fails is told as an Event of the Node and tried
        again, at longer and longer intervals. Raises EnvironmentUnable."""
        await view.filled()
        in_a_row, pause = 0, _FIRST_PAUSE
        while True:
            begun, version, cluster = time.monotonic(), view.version, view.cluster
            try:
                await self._proxy.sync(cluster)
            except (LabError, OSError) as error:
                self._failed(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self.agreed, self.complaint = cluster, None
            self._turned()
            pause, took = _FIRST_PAUSE, time.monotonic() - begun
            if in_a_row >= _BURST:
                await asyncio.sleep(min(_REST * took, _LONGEST_REST))
            resting = time.monotonic()
            await self._news(view, version)
            in_a_row = in_a_row + 1 if time.monotonic() - resting < took else 1

    async def _news(self, view: View, version: int) -> None:
        """Wait until there is something to do."""
        touched = False
        while view.version == version and not touched:
            try:
                async with asyncio.timeout(RESYNC_SECONDS):
                    await view.after(version)
            except TimeoutError:
                touched = await self._touched()

    async def _touched(self) -> bool:
        try:
            return await self._proxy.touched()
        except (LabError, OSError):
            return True  # the sync will say why

    def _failed(self, error: LabError | OSError) -> None:
        if not isinstance(error, LabError):
            error = LabError(
                f"the rules of {self._node} could not be loaded: {error}",
                "The machine is short of something: try a smaller lab.",
            )
        if self.complaint is None:
            self.failing_since = time.monotonic()
        self.complaint = error
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._node}}
        self._tell(about, "FailedToSyncRules", error.message)
        self._turned()
