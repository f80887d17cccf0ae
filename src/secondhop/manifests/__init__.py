"""Kubernetes objects to the model: read, check, default, derive. No YAML parser until needed."""

from .cluster import World, build, with_policy, with_readiness
from .lab import Lab
from .read import Document, read_files, read_text
from .reference import reference_documents, reference_lab

__all__ = [
    "Document",
    "Lab",
    "World",
    "build",
    "read_files",
    "read_text",
    "reference_documents",
    "reference_lab",
    "with_policy",
    "with_readiness",
]
