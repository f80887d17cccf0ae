"""The part of an object's metadata that is the server's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeAlias

from ..client.api import Object
from .kinds import Kind

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970."""

_SUFFIX, _LONGEST = 5, 63
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_BIRTH = ("name", "generateName", "namespace")
_OWN = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def timestamp(seconds: float) -> str:
    """A time as objects hold it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def generated(prefix: str) -> str:
    """A name from a generateName."""
    suffix = "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(_SUFFIX))
    return prefix[: _LONGEST - _SUFFIX] + suffix


def born(kind: Kind, value: Object, namespace: str, now: float) -> Object:
    """A new object with what the server writes into its metadata."""
    metadata = dict(value.get("metadata") or {})
    for name in (*_OWN, "resourceVersion", "selfLink", "managedFields"):
        metadata.pop(name, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generated(metadata["generateName"])
    if kind.namespaced:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    metadata |= {"uid": _uid(), "creationTimestamp": timestamp(now)}
    if kind.generation:
        metadata["generation"] = 1
    return {**value, "metadata": metadata}


def _uid() -> str:
    """A random UUID; the module for that takes milliseconds to load."""
    text = bytearray(os.urandom(16))
    text[6], text[8] = text[6] & 0x0F | 0x40, text[8] & 0x3F | 0x80
    return "-".join(text[i:j].hex() for i, j in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 16)))


def carried(new: Object, old: Object) -> Object:
    """A changed object with what the server had written into its metadata, but without owners."""
    metadata, stored = dict(new.get("metadata") or {}), old["metadata"]
    for name in ("selfLink", "managedFields"):
        metadata.pop(name, None)
    for name in (*_BIRTH, *_OWN):
        if name in stored:
            metadata[name] = stored[name]
        else:
            metadata.pop(name, None)
    metadata["resourceVersion"] = stored["resourceVersion"]
    return {**new, "metadata": metadata}


def counted(kind: Kind, new: Object, old: Object) -> Object:
    """A changed object whose generation counts the change, if what is wanted changed."""
    if not kind.generation or _wanted(kind, new) == _wanted(kind, old):
        return new
    metadata = {**new["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
    return {**new, "metadata": metadata}


def _wanted(kind: Kind, value: Object) -> object:
    if kind.kind == "Deployment":
        return value.get("spec"), value["metadata"].get("annotations") or {}
    if kind.kind == "EndpointSlice":
        return {key: part for key, part in value.items() if key != "metadata"}
    return value.get("spec")


def unchanged(new: Object, old: Object) -> bool:
    """Whether nothing differs, but the times since when somebody owns fields."""
    return _timeless(new) == _timeless(old)


def _timeless(value: Object) -> Object:
    metadata = value["metadata"]
    if "managedFields" not in metadata:
        return value
    entries = [{**entry, "time": ""} for entry in metadata["managedFields"]]
    return {**value, "metadata": {**metadata, "managedFields": entries}}
