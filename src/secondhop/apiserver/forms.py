"""Objects in a form that they are not stored in: Events of events.k8s.io are core's."""

from __future__ import annotations

from ..client.api import Object
from .kinds import Kind

_CORE = {
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedSource": "source",
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
}
"""What core calls the fields of events.k8s.io."""
_EVENTS = {core: name for name, core in _CORE.items()}


def shown(kind: Kind, value: Object) -> Object:
    """A stored object as a kind of objects has it."""
    if not kind.form_of:
        return value
    named = {_EVENTS.get(name, name): part for name, part in value.items()}
    return named | {"apiVersion": kind.api_version}


def stored(kind: Kind, value: Object) -> Object:
    """The other way."""
    if not kind.form_of:
        return value
    named = {_CORE.get(name, name): part for name, part in value.items()}
    return named | {"apiVersion": kind.stored.api_version}
