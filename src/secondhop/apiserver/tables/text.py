"""How cells write times, labels and lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...client import Object

NONE, UNKNOWN = "<none>", "<unknown>"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def age(value: Object, now: float) -> str:
    """Of an object."""
    return since(value["metadata"].get("creationTimestamp"), now)


def since(stamp: str | None, now: float) -> str:
    """How long ago a time is."""
    return duration(now - datetime.fromisoformat(stamp).timestamp()) if stamp else UNKNOWN


def duration(seconds: float) -> str:
    """In one unit or two, coarser the longer it is."""
    if seconds < -1:
        return "<invalid>"
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    for end, unit, name, rest, rest_name in (
        (10 * _MINUTE, _MINUTE, "m", 1, "s"),
        (3 * _HOUR, _MINUTE, "m", 0, ""),
        (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
        (2 * _DAY, _HOUR, "h", 0, ""),
        (8 * _DAY, _DAY, "d", _HOUR, "h"),
        (2 * _YEAR, _DAY, "d", 0, ""),
        (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    ):
        if whole < end:
            left = whole % unit // rest if rest else 0
            return f"{whole // unit}{name}" + (f"{left}{rest_name}" if left else "")
    return f"{whole // _YEAR}y"


def pairs(labels: Mapping[str, str] | None) -> str:
    """Labels: `a=b,c=d`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector(value: Mapping[str, Any] | None) -> str:
    """A LabelSelector as -l takes it."""
    if value is None:
        return NONE
    parts = [(key, f"{key}={one}") for key, one in (value.get("matchLabels") or {}).items()]
    for each in value.get("matchExpressions") or []:
        key, operator = each["key"], each["operator"]
        listed = ",".join(sorted(each.get("values") or []))
        forms = {"In": f"{key} in ({listed})", "NotIn": f"{key} notin ({listed})", "Exists": key}
        parts.append((key, forms.get(operator, f"!{key}")))
    return ",".join(text for _, text in sorted(parts)) or NONE


def first(texts: Iterable[str], none: str) -> str:
    """The first three, and how many more there are."""
    found = list(texts)
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more if found else none
