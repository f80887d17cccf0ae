"""`status.conditions`, in every kind that has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..client import Object

Condition = dict[str, Any]


def condition(value: Object, kind: str) -> Condition | None:
    """The condition of that type."""
    found = (value.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one["type"] == kind), None)


def is_true(value: Object, kind: str) -> bool:
    """Whether the condition of that type is there and True."""
    found = condition(value, kind)
    return found is not None and found["status"] == "True"


def with_condition(value: Object, new: Mapping[str, Any], now: str) -> list[Condition]:
    """The conditions of an object with one put in the place of its type's. lastTransitionTime is
    now, unless the status was the same before."""
    before = condition(value, new["type"])
    since = now
    if before is not None and before["status"] == new["status"]:
        since = before.get("lastTransitionTime") or now
    return placed(
        (value.get("status") or {}).get("conditions") or (), {**new, "lastTransitionTime": since}
    )


def placed(conditions: Sequence[Condition], new: Condition) -> list[Condition]:
    """Conditions with one in the place of its type's, or last."""
    if any(one["type"] == new["type"] for one in conditions):
        return [new if one["type"] == new["type"] else one for one in conditions]
    return [*conditions, new]
