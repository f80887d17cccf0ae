"""Prediction: what becomes of a flow in a cluster, and why. Pure; imports only the model."""

from __future__ import annotations

from dataclasses import replace

from ..model.cluster import Cluster
from ..model.fate import Outcome
from ..model.flow import Flow
from .path import Paths
from .story import outcome, steps

__all__ = ["predict"]


def predict(cluster: Cluster, flow: Flow) -> Outcome:
    """The fate of one connection attempt; UsageError for a flow that cannot start."""
    trail = Paths(cluster).walk(flow)
    return replace(outcome(trail), steps=steps(trail, cluster.proxy.mode))
