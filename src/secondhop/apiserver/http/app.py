"""The whole of it: who is let in, what is asked for, and that every refusal is a Status."""

from __future__ import annotations

import logging
import platform
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from ...client.api import Object
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
from .path import GROUP_VERSIONS, Place, group_version, no_such_path, read_path
from .reply import json_response, refusal
from .resources import resource

_LOG = logging.getLogger(__name__)

_VERSION = {
    "major": str(NEWEST.major),
    "minor": str(NEWEST.minor),
    "gitVersion": f"v{NEWEST}.0+secondhop",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": platform.python_implementation(),
    "platform": f"linux/{platform.machine()}",
}
_HEALTH = ("healthz", "livez", "readyz")
_STREAMS = {"log", "exec"}
_INTERNAL_ERROR = 1011  # RFC 6455 §7.4.1


class App:
    """An ASGI app: the API of a server over HTTP.

    hosts: the names it is reached by, with the port, as a Host header has them. Other names, other
    sites' pages and other tokens are refused.
    """

    def __init__(
        self, server: Server, agent: Agent, credentials: Credentials, hosts: Collection[str]
    ) -> None:
        self._server, self._agent = server, agent
        self._guard = Guard(credentials.token, hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; of whatever goes wrong before the answer begins, a Status tells."""
        socket = WebSocket(scope, receive, send) if scope["type"] == "websocket" else None
        try:
            self._guard.check(Headers(scope=scope))
            if socket is not None:
                await self._converse(socket)
                return
            response = await self._answer(Request(scope, receive))
        except ApiError as error:
            response = refusal(error)
        except ClientDisconnect:
            return  # in the middle of its request: nobody is there to be told
        except Exception:
            _LOG.exception("%s %s", scope.get("method", "WebSocket"), scope["path"])
            response = refusal(ApiError(500, "InternalError", _BROKEN))
        if socket is None:
            await response(scope, receive, send)
        elif socket.application_state is WebSocketState.CONNECTING:
            await socket.send_denial_response(response)
        elif socket.application_state is WebSocketState.CONNECTED:
            await socket.close(_INTERNAL_ERROR)

    async def _converse(self, socket: WebSocket) -> None:
        place = read_path(socket.url.path)
        if place.subresource != "exec":
            raise bad_request("only exec is served over a WebSocket")
        await execute(self._agent, place, socket)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path.strip("/")
        document = _document(path, request)
        if document is not None:
            if request.method not in ("GET", "HEAD"):
                raise not_allowed()
            return document
        place = read_path(path)
        if place.subresource in _STREAMS:
            return await self._stream(place, request)
        return await resource(self._server, place, request)

    async def _stream(self, place: Place, request: Request) -> Response:
        if place.subresource == "exec":
            raise bad_request(_NO_SPDY)
        if request.method != "GET":
            raise not_allowed()
        return await logs(self._agent, place, request.query_params)


_BROKEN = "the API server failed to answer; its log has the reason"
_NO_SPDY = (
    "exec is served over WebSockets only, not over SPDY: use kubectl 1.31 or later (1.29 and 1.30 "
    "with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true)"
)


def _document(path: str, request: Request) -> Response | None:
    """What stands at a fixed path; None: it is no such path."""
    accept = request.headers.get("accept", "")
    match path.split("/"):
        case [name, *_] if name in _HEALTH:
            return PlainTextResponse("ok")
        case ["version"]:
            return json_response(_VERSION)
        case ["api" | "apis" as root]:
            return _discovery(root, wanted_discovery(accept))
        case ["api", version]:
            return _found(discovery.resources("", version), accept)
        case ["apis", group]:
            return _found(discovery.group(group), accept)
        case ["apis", group, version]:
            return _found(discovery.resources(group, version), accept)
        case ["openapi", "v2"]:
            content, media = openapi.version_2()
            return Response(content, media_type=media)
        case ["openapi", "v3"]:
            return _found(openapi.index(), accept)
        case ["openapi", "v3", *place]:
            return _openapi(place, accept)
    return None


def _discovery(root: str, version: str) -> Response:
    core = root == "api"
    if not version:
        return json_response(discovery.versions() if core else discovery.groups())
    response = json_response(discovery.aggregated(core, version))
    kind = f"g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    response.headers["content-type"] = f"application/json;{kind}"
    return response


def _openapi(segments: list[str], accept: str) -> Response:
    accepts_json(accept)
    found = group_version(segments)
    if found is None or found[0] not in GROUP_VERSIONS or found[1]:
        raise no_such_path()
    return Response(openapi.document(*found[0]), media_type="application/json")


def _found(value: Object | None, accept: str) -> Response:
    if value is None:
        raise no_such_path()
    accepts_json(accept)
    return json_response(value)
