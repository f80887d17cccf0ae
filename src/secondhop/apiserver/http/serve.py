"""uvicorn inside of a running event loop, on sockets that are bound already."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from .connection import Connection


@asynccontextmanager
async def serving(
    app: ASGIApp, sockets: Sequence[socket.socket], tls: ssl.SSLContext
) -> AsyncIterator[None]:
    """Serve an app over TLS while the block runs, on all sockets, of whichever namespace. They are
    closed at the end, when requests under way, watches among them, are cut off."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_context_factory=lambda *_: tls,
        timeout_graceful_shutdown=0,
    )
    for each in sockets:  # asyncio does so only for sockets whose protocol is spelled out
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not server.serve(): it takes the signals, which are the supervisor's, and polls for its end.
    await server.startup(list(sockets))
    try:
        yield
    finally:
        await server.shutdown(list(sockets))
        for connection in list(server.server_state.connections):
            connection.transport.abort()  # a TLS goodbye may wait for a client that has gone
