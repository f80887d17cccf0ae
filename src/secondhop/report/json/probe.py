"""The Probe document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model.cluster import Service
from ...model.inference import Inference
from ...model.probing import Judged, Probe
from ...model.version import KubeVersion
from . import document
from .parts import destination, inferred, observation, outcome, source


def probe(
    service: Service,
    found: Probe,
    elapsed: float,
    notes: Sequence[str],
    inferences: Sequence[Inference],
    version: KubeVersion,
) -> str:
    """A Probe document. elapsed: seconds."""
    return document(
        "Probe",
        version,
        {
            "service": str(service),
            "agree": found.agree,
            "elapsedSeconds": round(elapsed, 3),
            "trials": [_judged(row) for row in found.rows],
            "remarks": list(found.remarks),
            "notes": list(notes),
            **inferred(inferences),
        },
    )


def _judged(row: Judged) -> dict[str, Any]:
    tried = row.tried
    return {
        "source": source(tried.flow.source),
        "destination": destination(tried.flow.destination),
        "predicted": [{"via": one.via, "outcome": outcome(one.outcome)} for one in row.predicted],
        "observed": observation(tried.observed),
        "reached": tried.reached,
        "controls": [one._asdict() for one in tried.controls],
        "httpStatus": tried.status,
        "sameNode": tried.same_node,
        "verdict": row.verdict,
        "because": row.because,
    }
