"""The whole of it: who is let in, what is asked for, and that every refusal is a Status."""

from __future__ import annotations

import logging
import platform
from collections.abc import Collection

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ...errors import ApiError
from ...model.version import NEWEST
from ..agent import Agent
from ..refusals import bad_request, not_allowed
from ..server import Server
from . import discovery, openapi
from .accept import accepts_json, wanted_discovery
from .credentials import Credentials
from .execute import execute
from .guard import Guard
from .logs import logs
from .path import Place, group_version, no_such_path, read_path
from .reply import encode, json_response, refusal
from .resources import resource

_LOG = logging.getLogger(__name__)


def app(server: Server, agent: Agent, credentials: Credentials, hosts: Collection[str]) -> ASGIApp:
    """The API of a server over HTTP. hosts: the names it is reached by, with the port, as a Host
    header has them; other names are refused."""
    guard = Guard(credentials.token, hosts)

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            guard.check(connection.headers)
            if scope["type"] == "websocket":
                await _converse(agent, WebSocket(scope, receive, send))
                return
            response = await _answer(server, agent, Request(scope, receive))
        except ApiError as error:
            response = refusal(error)
    ...
