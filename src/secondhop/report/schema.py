"""The published JSON Schemas of the `-o json` documents (draft 2020-12), kept beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

KINDS = (
    "Experiment",
    "Prediction",
    "Difference",
    "Check",
    "Comparison",
    "Trace",
    "Probe",
    "Diagnosis",
)
_DEFINITIONS = "definitions"


def schema(kind: str) -> dict[str, Any]:
    """The schema of one of KINDS, complete in itself: with the definitions that it refers to."""
    found = _read(kind)
    definitions = _read(_DEFINITIONS)
    used: dict[str, Any] = {}
    pending = _references(found)
    while pending:
        name = pending.pop()
        if name not in used:
            used[name] = definitions[name]
            pending |= _references(definitions[name])
    return found | {"$defs": {name: used[name] for name in definitions if name in used}}


def _references(value: Any) -> set[str]:
    """The names of the definitions that a piece of schema refers to."""
    if isinstance(value, list):
        return set().union(*map(_references, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
    return own.union(*map(_references, value.values()))


def _read(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath("schemas", f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
