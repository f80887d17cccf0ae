"""The orphans of `lab exec`, whose parent is the first process of the lab's pid namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

_SECONDS = 1.0


async def reap() -> None:
    """Wait for them, for ever. A child of our own is waited for at once by who started it."""
    before = set[int]()
    while True:
        await asyncio.sleep(_SECONDS)
        now = _zombies()
        for child in now & before:
            os.waitpid(child, 0)
        before = now - before


def _zombies() -> set[int]:
    """The children that have ended, by their numbers in this pid namespace; /proc is the host's."""
    with contextlib.suppress(OSError):  # it has none, or one goes just now
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            told = (Path("/proc", child, "status") for child in _children())
            fields = [dict(line.split(":\t", 1) for line in path.open()) for path in told]
            return {int(one["NSpid"].split()[-1]) for one in fields if one["State"][0] == "Z"}
    return set()


def _children() -> list[str]:
    return Path("/proc/thread-self/children").read_text().split()
