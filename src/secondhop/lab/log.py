"""What a container has written: the latest lines, kept in memory, and whoever follows them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from ..apiserver.agent import LogOptions

_MOST_BYTES = 2 << 20
_LINE_COSTS = 160
_LONGEST_LINE = 16 << 10


class Line(NamedTuple):
    """One line with its end, and when it came."""

    time: datetime
    text: bytes

    def shown(self, options: LogOptions) -> bytes:
        """As kubectl wants it."""
        if not options.timestamps:
            return self.text
        return self.time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() + self.text


class Log:
    """The log of one container from its start to its end."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._written = 0
        self._partial = b""
        self._more = asyncio.Event()
        self._ended = False

    def write(self, data: bytes) -> None:
        """Take what was written; a line counts once it is complete, or too long to wait for."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._add(line + b"\n")
        while len(self._partial) > _LONGEST_LINE:
            self._add(self._partial[:_LONGEST_LINE] + b"\n")
            self._partial = self._partial[_LONGEST_LINE:]

    def end(self) -> None:
        """Nothing will be written any more."""
        if self._partial:
            self._add(self._partial)
            self._partial = b""
        self._ended = True
        self._more.set()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """The lines that the options ask for; when following, also those that come."""
        lines = list(self._lines)
        if options.since_seconds is not None:
            now = self._now()
            lines = [x for x in lines if (now - x.time).total_seconds() <= options.since_seconds]
        if options.tail is not None:
            lines = lines[max(len(lines) - options.tail, 0) :]
        told = self._written
        if lines:
            yield b"".join(line.shown(options) for line in lines)
        while options.follow:
            if told < self._written:
                missed = min(self._written - told, len(self._lines))
                told = self._written
                fresh = list(self._lines)[len(self._lines) - missed :]
                yield b"".join(line.shown(options) for line in fresh)
            elif self._ended:
                return
            else:
                self._more.clear()
                await self._more.wait()

    def last_line(self) -> str:
        """What was written last, without its end."""
        return self._lines[-1].text.decode(errors="replace").rstrip() if self._lines else ""

    def _add(self, text: bytes) -> None:
        self._lines.append(Line(self._now(), text))
        self._written += 1
        self._bytes += len(text) + _LINE_COSTS
        while self._bytes > _MOST_BYTES:
            self._bytes -= len(self._lines.popleft().text) + _LINE_COSTS
        self._more.set()
