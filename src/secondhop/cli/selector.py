"""Label selectors as `kubectl -l` takes them: `app=web,tier!=db,env in (a,b),!legacy`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..errors import UsageError

Labels: TypeAlias = Mapping[str, str]
Matches: TypeAlias = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==?|!=)\s*(?P<value>[-A-Za-z0-9_.]*)")
_IN = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EXISTS = re.compile(rf"(?P<op>!?)\s*(?P<key>{_KEY})")
_COMMA = re.compile(r",(?![^(]*\))")


def selector(text: str) -> Matches:
    """Whether labels meet every requirement of the text. Raises UsageError if it cannot be read."""
    requirements = [_requirement(part.strip()) for part in _COMMA.split(text)]
    return lambda labels: all(meets(labels) for meets in requirements)


def _requirement(part: str) -> Matches:
    if found := _EQUAL.fullmatch(part):
        key, value = found["key"], found["value"]
        wanted = found["op"] != "!="
        return lambda labels: (labels.get(key) == value) is wanted
    if found := _IN.fullmatch(part):
        key, values = found["key"], {v.strip() for v in found["values"].split(",")}
        listed = found["op"] == "in"
        return lambda labels: (labels.get(key) in values) is listed
    if found := _EXISTS.fullmatch(part):
        key, wanted = found["key"], not found["op"]
        return lambda labels: (key in labels) is wanted
    raise UsageError(
        f"-l: {part!r} is not a label requirement",
        "Write key=value, key!=value, key in (a,b), key notin (a,b), key or !key, with commas.",
    )
