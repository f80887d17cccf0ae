"""The parameters of a request's query."""

from __future__ import annotations

import re
from typing import TypedDict

from starlette.datastructures import QueryParams

from ..refusals import bad_request

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's strconv.ParseBool takes for true; a real server takes an empty value too."""
_NUMBER, _INT64 = re.compile("[+-]?[0-9]+"), 1 << 63


def flag(query: QueryParams, name: str) -> bool:
    """A boolean; absent is false."""
    return name in query and query[name] in _TRUE | {""}


def number(query: QueryParams, name: str) -> int | None:
    """A number; None if absent. Raises ApiError 400 in the words of Go's strconv.ParseInt."""
    text = query.get(name)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -_INT64 <= int(text) < _INT64:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
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
