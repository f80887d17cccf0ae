"""Objects without what says nothing about traffic: a large cluster's fit into memory so."""

from __future__ import annotations

from typing import Any

from .schema import KINDS
from .shapes import Anything, ListOf, Shape, Struct

_UNSAID = ("args", "command", "env")
"""Of a container: nothing about traffic, and sometimes secrets."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ANNOTATED = "Service"
"""The one kind whose annotations are read."""


def pruned(value: dict[str, Any]) -> dict[str, Any]:
    """An object of one of our kinds, as a server gives it, with only the fields that are looked
    into."""
    kept: dict[str, Any] = _pruned(value, KINDS[value["kind"]])
    if value["kind"] != _ANNOTATED:
        kept["metadata"].pop("annotations", None)
    elif annotations := kept["metadata"].get("annotations"):
        annotations.pop(_APPLIED, None)
    for container in (kept.get("spec") or {}).get("containers") or ():
        for name in _UNSAID:
            container.pop(name, None)
    return kept


def _pruned(value: Any, shape: Shape | None) -> Any:
    if isinstance(shape, Struct) and isinstance(value, dict):
        return {
            name: _pruned(inner, of)
            for name, inner in value.items()
            if not isinstance(of := shape.fields.get(name), Anything | None)
        }
    if isinstance(shape, ListOf) and isinstance(value, list):
        return [_pruned(item, shape.item) for item in value]
    return value
