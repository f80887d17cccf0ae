"""What a cluster's objects do not say outright, and how it was found all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Sureness: TypeAlias = Literal["read", "recognised", "assumed", "unknown"]
"""Stated by configuration; known by a name or a default of its maker; said by nothing, so the
usual; cannot be told."""


@dataclass(frozen=True, slots=True)
class Inference:
    """One such thing.

    what: `proxy mode`, `pod network`, `Kubernetes version`. source: from what it was inferred, or
    why it could not be. doubt: what therefore may be wrong in an answer; empty for nothing.
    """

    what: str
    value: str
    sureness: Sureness
    source: str
    doubt: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.value}: {self.sureness}, {self.source}"
