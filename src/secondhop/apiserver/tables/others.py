"""Rows of the small kinds."""

from __future__ import annotations

from ...client import Object
from .text import age, since


def named(value: Object, now: float) -> list[object]:
    """NAME AGE."""
    return [value["metadata"]["name"], age(value, now)]


def namespace(value: Object, now: float) -> list[object]:
    """NAME STATUS AGE."""
    return [value["metadata"]["name"], value.get("status", {}).get("phase", ""), age(value, now)]


def config_map(value: Object, now: float) -> list[object]:
    """NAME DATA AGE."""
    keys = len(value.get("data") or {}) + len(value.get("binaryData") or {})
    return [value["metadata"]["name"], keys, age(value, now)]


def service_account(value: Object, now: float) -> list[object]:
    """NAME SECRETS AGE."""
    return [value["metadata"]["name"], len(value.get("secrets") or []), age(value, now)]


def lease(value: Object, now: float) -> list[object]:
    """NAME HOLDER AGE."""
    holder = (value.get("spec") or {}).get("holderIdentity") or ""
    return [value["metadata"]["name"], holder, age(value, now)]


def event(value: Object, now: float) -> list[object]:
    """LAST SEEN, TYPE, REASON, OBJECT, SUBOBJECT, SOURCE, MESSAGE, FIRST SEEN, COUNT, NAME."""
    series = value.get("series") or {}
    begun = value.get("firstTimestamp") or value.get("eventTime")
    last = series.get("lastObservedTime") or value.get("lastTimestamp") or begun
    about = value.get("involvedObject") or {}
    kind, name = about.get("kind", "").lower(), about.get("name")
    return [
        since(last, now),
        value.get("type", ""),
        value.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath", ""),
        _source(value),
        value.get("message", "").strip(),
        since(begun, now),
        series.get("count") or value.get("count") or 1,
        value["metadata"]["name"],
    ]


def _source(value: Object) -> str:
    source = value.get("source") or {}
    component = source.get("component") or value.get("reportingComponent", "")
    instance = source.get("host") or value.get("reportingInstance", "")
    return f"{component}, {instance}" if instance else component
