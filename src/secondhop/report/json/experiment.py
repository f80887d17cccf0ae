"""The Experiment document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...model.claim import Claim
from ...model.cluster import Service
from ...model.fate import Trial
from ...model.inference import Inference
from ...model.version import KubeVersion
from . import document
from .parts import destination, inferred, observation, outcome, source


def experiment(
    service: Service,
    trials: Sequence[Trial],
    claims: Sequence[Claim],
    elapsed: float,
    notes: Sequence[str],
    version: KubeVersion,
    inferences: Sequence[Inference] = (),
) -> str:
    """An Experiment document. elapsed: seconds; notes: what was assumed or left out; inferences: of
    a real cluster."""
    return document(
        "Experiment",
        version,
        {
            "service": str(service),
            "agree": all(t.agree for t in trials),
            "elapsedSeconds": round(elapsed, 3),
            "trials": [trial(t) for t in trials],
            "claims": [asdict(claim) for claim in claims],
            "notes": list(notes),
            **inferred(inferences),
        },
    )


def trial(one: Trial) -> dict[str, Any]:
    """One row of an experiment."""
    return {
        "policy": one.policy,
        "source": source(one.flow.source),
        "destination": destination(one.flow.destination),
        "via": one.flow.via,
        "predicted": outcome(one.predicted),
        "observed": observation(one.observed),
        "agree": one.agree,
    }
