"""Kubernetes objects to the model: read, check, default, derive. No YAML parser until needed."""

from typing import Any

from .cluster import Examined, World, build, examine, with_policy, with_readiness
from .lab import Lab
from .read import Document, read_files, read_text, read_texts
from .reference import reference_documents, reference_lab
from .resource import Resource
from .services import Declared
from .update import Setting, read_setting, updated

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


def mend(value: dict[str, Any]) -> dict[str, Any]:
    """The object with every misplaced field at home; other kinds come back as they are."""
    from . import misplaced

    return misplaced.mend(value)
