"""The Check document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model.finding import Check, Where
from ...model.inference import Inference
from . import document
from .parts import inferred


def check(found: Check, inferences: Sequence[Inference] = ()) -> str:
    """A Check document. inferences: of a real cluster."""
    return document(
        "Check",
        found.cluster.kube_version,
        {
            "services": found.services,
            "balancer": found.balancer,
            "met": found.met,
            "requirements": [
                {
                    "requirement": one.asked,
                    "subject": one.subject,
                    "holds": one.holds,
                    "why": one.why,
                    **_place(one.where),
                }
                for one in found.requirements
            ],
            "findings": [
                {
                    "id": one.id,
                    "severity": one.severity,
                    "certainty": one.certainty,
                    "subject": one.subject,
                    "field": one.field,
                    "message": one.message,
                    "remedy": one.remedy,
                    **_place(one.where),
                }
                for one in found.findings
            ],
            "notes": list(found.notes),
            **inferred(inferences),
        },
    )


def _place(where: Where | None) -> dict[str, Any]:
    return {"file": where.file if where else None, "line": (where and where.line) or None}
