"""The JSON text of a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from .refusals import bad_request


class Body(NamedTuple):
    """A value, and the paths of the fields that its text says twice; the last one counts."""

    value: Any
    doubled: list[str]


class _Doubling(dict[str, Any]):
    """An object whose text says some fields twice."""

    doubled: list[str]


def read(text: bytes) -> Body:
    """A request's body. Raises ApiError 400."""
    found = False

    def built(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        done = dict(pairs)
        if len(done) == len(pairs):
            return done
        found = True
        marked = _Doubling(done)
        names = [name for name, _ in pairs]
        marked.doubled = [name for name in done if names.count(name) > 1]
        return marked

    try:
        value = json.loads(text, object_pairs_hook=built, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the request's body is no JSON: {error}") from None
    return Body(value, list(_doubled(value, "")) if found else [])


def _refused(name: str) -> object:
    raise ValueError(f"{name} is a number in Python's JSON only")


def _doubled(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for n, each in enumerate(value):
            yield from _doubled(each, f"{path}[{n}]")
    elif isinstance(value, dict):
        for name in value.doubled if isinstance(value, _Doubling) else ():
            yield f"{path}.{name}".lstrip(".")
        for name, each in value.items():
            yield from _doubled(each, f"{path}.{name}".lstrip("."))
