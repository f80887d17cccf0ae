"""Objects as the tables that kubectl prints (semantics §10.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from ..client.api import Object
from .kinds import Kind
from .printers import PRINTERS

Include: TypeAlias = Literal["None", "Metadata", "Object"]


def table(
    kind: Kind, objects: Sequence[Object], metadata: Object, now: float, include: Include
) -> Object:
    """A meta.k8s.io/v1 Table. metadata: of the list or the object that it shows; include: what
    each row brings of its object."""
    printer = PRINTERS[kind.kind]
    return {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "Table",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": "name" if column.name == "Name" else "",
                "description": "",
                "priority": column.priority,
            }
            for column in printer.columns
        ],
        "rows": [_row(printer.cells(value, now), value, include) for value in objects],
    }


def _row(cells: list[Any], value: Object, include: Include) -> Object:
    if include == "Object":
        return {"cells": cells, "object": value}
    if include == "None":
        return {"cells": cells, "object": None}
    partial = {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": value["metadata"],
    }
    return {"cells": cells, "object": partial}
