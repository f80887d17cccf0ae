"""`status.conditions`, in every kind that has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..client import Object

Condition = dict[str, Any]


def conditions_of(value: Object) -> list[Condition]:
    """All its conditions."""
    return (value.get("status") or {}).get("conditions") or []


def condition(value: Object, kind: str) -> Condition | None:
    """The condition of that type."""
    return of_type(conditions_of(value), kind)


def of_type(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The one of that type."""
    return next((one for one in conditions if one["type"] == kind), None)


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
    return placed(conditions_of(value), {**new, "lastTransitionTime": since})


def placed(conditions: Sequence[Condition], new: Condition) -> list[Condition]:
    """Conditions with one in the place of its type's, or last."""
    if of_type(conditions, new["type"]):
        return [new if one["type"] == new["type"] else one for one in conditions]
    return [*conditions, new]
