"""The parameters of a request's query."""

from __future__ import annotations

from typing import TypedDict

from starlette.datastructures import QueryParams

from ..refusals import bad_request

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's strconv.ParseBool takes for true; a real server takes an empty value too."""


def flag(query: QueryParams, name: str) -> bool:
    """A boolean; absent is false."""
    return name in query and query[name] in _TRUE | {""}


def number(query: QueryParams, name: str) -> int | None:
    """A number that is not negative; None if absent. Raises ApiError 400."""
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request(f"{name}: {text!r} is not a number from 0 on")
    return int(text)


class Selectors(TypedDict):
    """Which objects are meant."""

    labels: str
    fields: str


def selectors(query: QueryParams) -> Selectors:
    """As the server takes them."""
    return {
        "labels": query.get("labelSelector", ""),
        "fields": query.get("fieldSelector", ""),
    }
