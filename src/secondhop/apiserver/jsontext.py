"""The JSON text of a request."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..manifests.yamltext import DEPTH
from .refusals import bad_request


class Body(NamedTuple):
    """A value, and the paths of the fields that its text says twice; the last one counts."""

    value: Any
    doubled: list[str]


class _Doubling(dict[str, Any]):
    """An object whose text says some fields twice."""

    doubled: list[str]


def read(body: bytes) -> Body:
    """A request's body. What no UTF-8 can say is U+FFFD, as Go reads it. Raises ApiError 400."""
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

    text = _HALF.sub(lambda half: half[1] or "\ufffd", body.decode(errors="replace"))
    try:
        value = json.loads(
            text, object_pairs_hook=built, parse_float=_finite, parse_constant=_refused
        )
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the request's body is no JSON: {error}") from None
    if text.count("{") + text.count("[") > DEPTH and _deep(value):
        raise bad_request(f"the request's body is nested more than {DEPTH} levels deep")
    return Body(value, list(_doubled(value, "")) if found else [])


_HEX = "[0-9a-fA-F]{2}"
_HALF = re.compile(rf"(\\\\|\\u[dD][89abAB]{_HEX}\\u[dD][c-fC-F]{_HEX})|\\u[dD][89a-fA-F]{_HEX}")
"""Half of a surrogate pair, as an escape; what the group matches is none."""


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [
            each
            for part in level
            for each in (part.values() if isinstance(part, dict) else part)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large a number")
    return value


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
