"""One HTTP/1 connection on an event loop that it shares with hundreds of others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

from .http import BAD_REQUEST, Reader, Refused, Request
from .reply import Reply, wire

Handler: TypeAlias = Callable[[Request, str], Reply]
"""Answers a request from a peer, written `ip:port`. Raising ends the connection unanswered."""

PATIENCE = 60.0
"""Seconds a client has to come with its next request, to send it, to take a piece of an answer."""

_LINGER = 0.5
_MAX_BUFFERED = 1 << 16
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests and answers them one after the other, at most one for each turn of the loop:
    a client that floods it delays nobody else, and it holds no more than one request's bytes."""

    _transport: asyncio.Transport
    _peer: str
    _watchdog: asyncio.TimerHandle

    def __init__(self, handler: Handler, patience: float = PATIENCE) -> None:
        self._handler = handler
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._blocks: Iterator[bytes] | None = None
        self._last = False
        self._full = False
        self._ended = False
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the clock."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = peer_name(transport.get_extra_info("peername"))
        self._extend()
        self._watchdog = self._loop.call_at(self._deadline, self._watch)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops everything that is under way."""
        self._finished = True
        self._blocks = None
        self._watchdog.cancel()
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Reads on, unless an answer is under way: then only so much."""
        if self._finished:
            return
        if self._reader.idle:
            self._extend()
        self._reader.feed(data)
        self._advance()
        if self._busy and self._reader.buffered > _MAX_BUFFERED:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for answers."""
        self._ended = True
        self._advance()
        return not self._finished

    def pause_writing(self) -> None:
        """The client does not take what it is sent: no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """The client takes it again."""
        self._full = False
        self._extend()
        if self._blocks is not None:
            self._pump()
        else:
            self._advance()

    @property
    def _busy(self) -> bool:
        return bool(self._finished or self._full or self._timer or self._blocks is not None)

    def _extend(self) -> None:
        self._deadline = self._loop.time() + self._patience

    def _watch(self) -> None:
        if self._loop.time() >= self._deadline:
            self._transport.abort()
        else:
            self._watchdog = self._loop.call_at(self._deadline, self._watch)

    def _advance(self) -> None:
        """Takes the next request, if one is whole and nothing is under way."""
        if self._busy:
            return
        try:
            request = self._reader.next()
            if request is None and self._ended and not self._reader.idle:
                raise Refused(BAD_REQUEST)
        except Refused as refusal:
            self._transport.write(refusal.answer)
            self._finish()
            return
        if request is not None:
            self._answer(request)
        elif self._ended:
            self._finish()
        else:
            self._await_more()

    def _await_more(self) -> None:
        if self._reader.expecting:
            self._reader.expecting = False
            self._transport.write(_CONTINUE)
        self._transport.resume_reading()

    def _answer(self, request: Request) -> None:
        try:
            reply = self._handler(request, self._peer)
        except Exception:  # as Go does: a handler that fails costs its own connection, no other
            self._transport.abort()
            self._finished = True
            return
        if reply.delay > 0:
            self._deadline = self._loop.time() + reply.delay + self._patience
            self._timer = self._loop.call_later(reply.delay, self._send, request, reply)
        else:
            self._send(request, reply)

    def _send(self, request: Request, reply: Reply) -> None:
        self._timer = None
        first, self._blocks, self._last = wire(request, reply)
        self._transport.write(first)
        self._pump()

    def _pump(self) -> None:
        """Sends the next piece of an answer; after the last one, goes on."""
        if self._finished or (self._full and self._blocks is not None):
            return
        block = next(self._blocks, None) if self._blocks is not None else None
        self._extend()
        if block is not None:
            self._transport.write(block)
            if not self._full:
                self._loop.call_soon(self._pump)
            return
        self._blocks = None
        if self._last:
            self._finish()
        elif self._reader.buffered or self._ended:
            self._loop.call_soon(self._advance)

    def _finish(self) -> None:
        """Ends the connection, so that what was written still arrives: a socket closed over
        unread bytes would send a reset."""
        self._finished = True
        if self._ended or self._transport.get_write_buffer_size():
            self._transport.close()
            return
        with contextlib.suppress(OSError):
            self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = self._loop.call_later(_LINGER, self._transport.close)


def peer_name(peer: tuple[str, int] | None) -> str:
    """A socket's peer as Go writes it: `10.42.1.1:25389`, `[fd00::1]:25389`."""
    if peer is None:
        return ""
    host = peer[0].removeprefix("::ffff:") if "." in peer[0] else peer[0]
    return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
