"""A watch over HTTP: one JSON document on a line for each event, until its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ...client.api import Event
from ...errors import ApiError
from ..server import Server
from .options import check_watch
from .path import Place
from .query import flag, number, selectors
from .reply import Shape, encode, status_of

_LONGEST = 3600
"""Seconds that a watch lasts which names no time."""


def watch(server: Server, place: Place, request: Request) -> Response:
    """The events of a collection. Raises ApiError before the first."""
    query = request.query_params
    check_watch(query)
    bookmarks, initial = flag(query, "allowWatchBookmarks"), flag(query, "sendInitialEvents")
    events = server.watch(
        place.kind,
        place.namespace,
        **selectors(query),
        since=query.get("resourceVersion", ""),
        initial=initial,
    )
    seconds = min(number(query, "timeoutSeconds") or _LONGEST, _LONGEST)
    lines = _lines(events, Shape.of(request, place), bookmarks, seconds)
    return StreamingResponse(lines, media_type="application/json")


async def _lines(
    events: AsyncGenerator[Event, None], shape: Shape, bookmarks: bool, seconds: int
) -> AsyncIterator[bytes]:
    end = asyncio.get_running_loop().time() + seconds
    try:
        while True:
            async with asyncio.timeout_at(end):
                kind, value = await anext(events)
            if kind == "BOOKMARK" and not bookmarks:
                continue
            yield _line(kind, value if kind == "BOOKMARK" else shape.one(value))
    except (TimeoutError, StopAsyncIteration):
        return
    except ApiError as error:
        yield _line("ERROR", status_of(error))
    finally:
        await events.aclose()


def _line(kind: str, value: object) -> bytes:
    return encode({"type": kind, "object": value}) + b"\n"
