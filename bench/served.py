"""The lab's API over HTTPS, with nothing of a lab behind it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from secondhop.apiserver.agent import Agent
from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import Credentials, make_credentials, server_context
from secondhop.apiserver.http.serve import serving
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.model.cluster import Network


@asynccontextmanager
async def served(
    listeners: Sequence[socket.socket], services: Network
) -> AsyncIterator[tuple[Server, Credentials]]:
    """A server that answers on sockets bound to one port of 127.0.0.1. services: its range."""
    server, credentials = Server(Store(), [services]), make_credentials(["127.0.0.1"])
    bootstrap(server, services)
    agent: Agent = None  # type: ignore[assignment] # nobody asks for logs
    host = f"127.0.0.1:{listeners[0].getsockname()[1]}"
    app = App(server, agent, credentials, [host])
    async with serving(app, listeners, server_context(credentials)):
        yield server, credentials
