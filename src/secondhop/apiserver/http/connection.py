"""uvicorn's connection with the bounds it does not have: what a client may send besides bodies,
and how long it may take to send a request or to take an answer."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 1 << 20
"""Bytes of a request without its body: as Go's net/http."""
HEAD_SECONDS, TAKE_SECONDS = 32.0, 60.0
_TOO_LARGE = b"""HTTP/1.1 431 Request Header Fields Too Large\r
connection: close\r
content-length: 0\r
\r
"""


class Connection(HttpToolsProtocol):
    """One client. It is cut off when it begins a request and does not go on with it, and when it
    leaves an answer (a watch it no longer reads) where it is."""

    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came."""
        super().connection_made(transport)
        self._cut_off_after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went."""
        self._keep()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of it."""
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._head = 0
        if not self.flow.write_paused:
            self._cut_off_after(HEAD_SECONDS)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        if not self.flow.write_paused:
            self._keep()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bytes of its body."""
        self._head -= len(body)
        super().on_body(body)

    def pause_writing(self) -> None:
        """More waits to be sent than the client takes."""
        super().pause_writing()
        self._cut_off_after(TAKE_SECONDS)

    def resume_writing(self) -> None:
        """It takes some again."""
        self._keep()
        super().resume_writing()

    def _cut_off_after(self, seconds: float) -> None:
        self._keep()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _keep(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
