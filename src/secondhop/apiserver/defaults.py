"""The values that the API server writes into an object that leaves them out."""

from __future__ import annotations

from ..client.api import Object
from ..manifests.api.default import default_service
from .kinds import Kind


def default(kind: Kind, value: Object) -> Object:
    """The object with its defaults; it may be changed itself."""
    if kind.kind == "Service":
        return default_service(value)
    return value
