"""What the API server refuses."""

from __future__ import annotations

from ..client.api import Object
from ..manifests.api.field import FieldError
from ..manifests.api.service import validate_service
from .kinds import Kind


def refusals(
    kind: Kind, new: Object, old: Object | None, subresource: str = ""
) -> list[FieldError]:
    """Every refusal of a new object or, with old, of a change."""
    if kind.kind == "Service" and not subresource:
        return validate_service(new, old)
    return []
