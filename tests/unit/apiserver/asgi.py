"""An App asked without a network: fast, and with bytes that no HTTP client would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from serving import FakeAgent

from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import Credentials
from secondhop.apiserver.server import Server

HOST, TOKEN = "127.0.0.1:6443", "fuzz"
_TURNS = 30
"""Of the event loop, until the client of an answer that does not end has gone."""


class Asked(NamedTuple):
    """A request. query: as it stands behind the `?`."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Reply(NamedTuple):
    """An answer, or what came of it before its client went."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def an_app(server: Server) -> App:
    return App(server, FakeAgent(server), Credentials("", "", "", TOKEN), [HOST])


async def ask(app: App, asked: Asked) -> Reply:
    """What the app answers, with the token and the host unless the headers have their own."""
    given = {name.lower() for name, _ in asked.headers}
    usual = (("host", HOST), ("authorization", f"Bearer {TOKEN}"))
    headers = [*asked.headers, *(each for each in usual if each[0] not in given)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "https",
        "path": asked.path,
        "raw_path": asked.path.encode(errors="replace"),
        "query_string": asked.query.encode(errors="replace"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 6443),
    }
    incoming = iter(_pieces(asked.body))
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        for piece, more in incoming:
            return {"type": "http.request", "body": piece, "more_body": more}
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type] # what ASGI's own types cannot say
    start, *rest = told
    names = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Reply(start["status"], names, b"".join(each.get("body", b"") for each in rest))


def _pieces(body: bytes) -> Iterable[tuple[bytes, bool]]:
    half = len(body) // 2
    return [(body[:half], True), (body[half:], False)]
