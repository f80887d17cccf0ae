"""A saying about the two policies, and what a measurement makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["true", "true if", "false"]


@dataclass(frozen=True, slots=True)
class Claim:
    """id: stable name. condition: under which it is `true if`, else empty. because: the measurement
    behind the verdict."""

    id: str
    says: str
    verdict: Verdict
    condition: str
    because: str
