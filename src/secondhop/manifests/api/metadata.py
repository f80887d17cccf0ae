"""Rules for the metadata of namespaced objects (semantics §1.5). Owners, finalizers and managed
fields are not looked into: they say nothing about traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..problems import Path
from .field import FieldError, Object, invalid, required
from .syntax import dns_label, label_key, label_value

_MOST_ANNOTATIONS = 256 << 10  # bytes of keys and values
_IMMUTABLE = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def validate_metadata(
    metadata: Object, name_rule: Callable[[str], list[str]], *, namespaced: bool = True
) -> Iterator[FieldError]:
    """Refusals of an object's metadata; name_rule gives the messages for a name."""
    generate, name = metadata.get("generateName") or "", metadata.get("name") or ""
    if generate:
        for why in name_rule(_as_name(generate)):
            yield invalid(("metadata", "generateName"), generate, why)
    if not name:
        yield required(("metadata", "name"), "name or generateName is required")
    else:
        for why in name_rule(name):
            yield invalid(("metadata", "name"), name, why)
    namespace = metadata.get("namespace") or ""
    if not namespaced:
        pass
    elif not namespace:
        yield required(("metadata", "namespace"))
    else:
        for why in dns_label(namespace):
            yield invalid(("metadata", "namespace"), namespace, why)
    yield from _maps(metadata)


def validate_metadata_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Refusals of a change of metadata."""
    if not new.get("resourceVersion"):
        why = "must be specified for an update"
        yield invalid(("metadata", "resourceVersion"), "", why)
    generation = new.get("generation") or 0
    if generation < (old.get("generation") or 0):
        yield invalid(("metadata", "generation"), generation, "must not be decremented")
    for name in _IMMUTABLE:
        if (new.get(name) or None) != (old.get(name) or None):
            yield invalid(("metadata", name), new.get(name), "field is immutable")
    yield from _maps(new)


def validate_labels(labels: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    """Refusals of labels, or of a selector that is written like labels."""
    for key, value in labels.items():
        for why in label_key(key):
            yield invalid(path, key, why)
        for why in label_value(value or ""):
            yield invalid(path, value, why)


def _maps(metadata: Object) -> Iterator[FieldError]:
    yield from validate_labels(metadata.get("labels") or {}, ("metadata", "labels"))
    annotations: dict[str, Any] = metadata.get("annotations") or {}
    path: Path = ("metadata", "annotations")
    for key in annotations:
        for why in label_key(key.lower()):
            yield invalid(path, key, why)
    texts = (text or "" for pair in annotations.items() for text in pair)
    if sum(len(text.encode(errors="replace")) for text in texts) > _MOST_ANNOTATIONS:
        yield FieldError("TooLong", path, None, f"must have at most {_MOST_ANNOTATIONS} bytes")


def _as_name(prefix: str) -> str:
    """A generateName as a name of the same length: more follows where it ends with a dash."""
    return f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
