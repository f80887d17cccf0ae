"""Strategic merge patches: merge patches that know which lists are maps, by the schema."""

from __future__ import annotations

from typing import Any


def merge_strategic(definition: str, value: Any, patch: Any) -> Any:
    """An object with a strategic merge patch applied."""
    raise NotImplementedError
