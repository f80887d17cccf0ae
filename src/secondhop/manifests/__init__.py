"""Kubernetes objects to the model: read, check, default, derive. No YAML parser until needed."""

from typing import Any

from .cluster import Examined, World, build, examine, with_policy, with_readiness
from .lab import Lab
from .read import Document, read_files, read_text
from .reference import reference_documents, reference_lab
from .update import Setting, read_setting, updated

__all__ = [
    "Document",
    "Examined",
    "Lab",
    "Setting",
    "World",
    "build",
    "examine",
    "mend",
    "read_files",
    "read_setting",
    "read_text",
    "reference_documents",
    "reference_lab",
    "updated",
    "with_policy",
    "with_readiness",
]


def mend(value: dict[str, Any]) -> dict[str, Any]:
    """The object with every misplaced field at home; other kinds come back as they are."""
    from . import misplaced

    return misplaced.mend(value)
