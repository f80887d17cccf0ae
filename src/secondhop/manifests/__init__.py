"""Kubernetes objects to the model: read, check, default, derive. No YAML parser until needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster import Examined, World, build, examine, with_readiness
    from .lab import Lab
    from .patched import with_policy
    from .read import Document, read_files, read_text, read_texts
    from .reference import reference_documents, reference_lab
    from .resource import Resource
    from .services import Declared
    from .update import Setting, read_setting, updated

_HOMES = {
    "cluster": ("Examined", "World", "build", "examine", "with_readiness"),
    "lab": ("Lab",),
    "patched": ("with_policy",),
    "read": ("Document", "read_files", "read_text", "read_texts"),
    "reference": ("reference_documents", "reference_lab"),
    "resource": ("Resource",),
    "services": ("Declared",),
    "update": ("Setting", "read_setting", "updated"),
}
"""Loaded when first asked for: the lab's processes need some files of this room, and not these."""

__all__ = [
    "Declared",
    "Document",
    "Examined",
    "Lab",
    "Resource",
    "Setting",
    "World",
    "build",
    "examine",
    "mend",
    "read_files",
    "read_setting",
    "read_text",
    "read_texts",
    "reference_documents",
    "reference_lab",
    "updated",
    "with_policy",
    "with_readiness",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def mend(value: dict[str, Any]) -> dict[str, Any]:
    """The object with every misplaced field at home; other kinds come back as they are."""
    from . import misplaced

    return misplaced.mend(value)
