"""Label selectors and node selectors, read as objects write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) means an object with these labels;
    None means nothing, an empty one everything."""
    if selector is None:
        return False
    exact: Mapping[str, str] = selector.get("matchLabels") or {}
    return exact.items() <= labels.items() and meets_all(
        selector.get("matchExpressions") or (), labels
    )


def in_a_term(
    terms: Iterable[Mapping[str, Any]], labels: Mapping[str, str], fields: Mapping[str, str]
) -> bool:
    """Whether a node meets one of these nodeSelectorTerms, of which an empty one means nothing."""
    return any(
        meets_all(term.get("matchExpressions") or (), labels)
        and meets_all(term.get("matchFields") or (), fields)
        for term in terms
        if term.get("matchExpressions") or term.get("matchFields")
    )


def meets_all(requirements: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> bool:
    """Whether labels meet every requirement."""
    return all(_meets(requirement, labels) for requirement in requirements)


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.get("key") or "")
    values = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "Gt":
            return (compared := _numbers(value, values)) is not None and compared[0] > compared[1]
        case "Lt":
            return (compared := _numbers(value, values)) is not None and compared[0] < compared[1]
        case _:
            return value is None


def _numbers(value: str | None, values: Sequence[str]) -> tuple[int, int] | None:
    """A label and what it is compared with, if both are whole numbers."""
    try:
        return int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return None
