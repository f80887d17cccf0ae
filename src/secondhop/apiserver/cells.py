"""How table cells show times, lists and what is not there."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping

from ..client.api import Object

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def age(value: Object, now: float) -> str:
    """How long ago an object was made."""
    return since(value["metadata"].get("creationTimestamp"), now)


def since(stamp: str | None, now: float) -> str:
    """How long ago a time was: `5m10s`."""
    if not stamp:
        return UNKNOWN
    then = calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    return duration(int(now - then))


def duration(seconds: int) -> str:
    """Seconds, as exact as people want them: two units while the first is small."""
    if seconds < 0:
        return "0s" if seconds == -1 else "<invalid>"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    for limit, unit, name, part, more in (
        (10 * _MINUTE, _MINUTE, "m", 1, "s"),
        (3 * _HOUR, _MINUTE, "m", 0, ""),
        (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
        (2 * _DAY, _HOUR, "h", 0, ""),
        (8 * _DAY, _DAY, "d", _HOUR, "h"),
        (2 * _YEAR, _DAY, "d", 0, ""),
        (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    ):
        if seconds < limit:
            rest = seconds % unit // part if part else 0
            return f"{seconds // unit}{name}" + (f"{rest}{more}" if rest else "")
    return f"{seconds // _YEAR}y"


def joined(texts: Iterable[str], nothing: str = NONE) -> str:
    """Texts with commas between them."""
    return ",".join(texts) or nothing


def some(texts: list[str], nothing: str, most: int = 3) -> str:
    """The first few of some texts, and how many more there are."""
    more = f" + {len(texts) - most} more..." if len(texts) > most else ""
    return (joined(texts[:most], nothing)) + more


def pairs(mapping: Mapping[str, str]) -> str:
    """Labels, sorted: `app=web,tier=front`."""
    return joined(f"{key}={value}" for key, value in sorted(mapping.items()))
