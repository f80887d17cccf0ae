"""TCP passed on: from listeners in any namespace to a port of 127.0.0.1 in the supervisor's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

_PIECE = 1 << 16


@asynccontextmanager
async def forwarding(listeners: Sequence[socket.socket], port: int) -> AsyncIterator[None]:
    """Pass every connection on while the block runs; the listeners are closed at the end."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                there, back = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await asyncio.gather(_pump(reader, back), _pump(there, writer))
                finally:
                    back.close()
            finally:
                writer.close()

    async with contextlib.AsyncExitStack() as stack:
        for listener in listeners:
            server = await asyncio.start_server(accept, sock=listener)
            stack.callback(server.close)
        yield


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one to the other, and then its end. Raises OSError when either breaks."""
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
