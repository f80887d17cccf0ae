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
            "trials": [_trial(t) for t in trials],
            "claims": [asdict(claim) for claim in claims],
            "notes": list(notes),
            **inferred(inferences),
        },
    )


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "policy": trial.policy,
        "source": source(trial.flow.source),
        "destination": destination(trial.flow.destination),
        "via": trial.flow.via,
        "predicted": outcome(trial.predicted),
        "observed": observation(trial.observed),
        "agree": trial.agree,
    }
