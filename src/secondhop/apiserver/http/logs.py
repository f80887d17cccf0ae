"""A pod's log over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from ...manifests.api.field import invalid as field_error
from ..agent import Agent, LogOptions
from ..refusals import bad_request, invalid
from .path import Place
from .query import flag, number


async def logs(agent: Agent, place: Place, query: QueryParams) -> Response:
    """The lines that PodLogOptions ask for. Raises ApiError before the first."""
    options = LogOptions(
        follow=flag(query, "follow"),
        previous=flag(query, "previous"),
        tail=_natural(place, query, "tailLines"),
        since_seconds=_since(place, query),
        timestamps=flag(query, "timestamps"),
    )
    container = query.get("container") or None
    pieces = agent.logs(place.namespace, place.name, container, options)
    first = await anext(pieces, None)
    body = _limited(first, pieces, _natural(place, query, "limitBytes", 1))
    return StreamingResponse(body, media_type="text/plain")


def _natural(place: Place, query: QueryParams, name: str, least: int = 0) -> int | None:
    """A number that is not below the least. Raises ApiError 422."""
    value = number(query, name)
    if value is not None and value < least:
        why = "greater than 0" if least else "greater than or equal to 0"
        raise invalid("PodLogOptions", place.name, [field_error((name,), value, f"must be {why}")])
    return value


def _since(place: Place, query: QueryParams) -> int | None:
    """Seconds, from either form of the option; a moment ahead selects nothing."""
    text = query.get("sinceTime")
    if not text:
        return _natural(place, query, "sinceSeconds", 1)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"sinceTime: {text!r} is not a time as RFC 3339 has it") from None
    return max(0, round((datetime.now(UTC) - moment.astimezone(UTC)).total_seconds()))


async def _limited(
    first: bytes | None, pieces: AsyncIterator[bytes], left: int | None
) -> AsyncIterator[bytes]:
    """All pieces, or so many bytes of them."""
    piece = first
    while piece and (left is None or left > 0):
        yield piece[:left]
        left = None if left is None else left - len(piece)
        piece = await anext(pieces, None)
