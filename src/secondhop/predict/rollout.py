"""What a rollout costs at its worst moment (semantics §2.1, §6.3, §14; KEP-1669)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..model.failover import Rolling
from ..model.placement import Certainty
from ..model.version import KubeVersion
from ..model.workload import Workload
from .balancers import Balancer

SYNC_SECONDS = 5.0
"""Pods that served so long while terminating lost no connection in any rollout (§14)."""


def rollouts(
    workloads: Sequence[Workload], *, local: bool, balancer: Balancer, version: KubeVersion
) -> Iterator[Rolling]:
    """One for each workload that rolls. workloads: all behind one Service."""
    for workload in workloads:
        rollout = workload.rollout
        wanted = _wanted(workload)
        if not wanted or not (rollout.surge or rollout.unavailable):
            continue
        least = max(0, wanted - rollout.unavailable)
        dark = _dark(workload, least, sole=len(workloads) == 1) if local else "impossible"
        covered = version.has("terminating fallback")
        served = None if rollout.pre_stop is None else min(rollout.pre_stop, rollout.grace)
        yield Rolling(
            str(workload),
            wanted,
            least,
            wanted + rollout.surge,
            dark,
            served if covered or dark == "impossible" else 0.0,
            covered,
            SYNC_SECONDS if dark == "impossible" else _needed(balancer),
            rollout.probed,
        )


def _wanted(workload: Workload) -> int:
    """Of a DaemonSet whose nodes are not known, one stands for all."""
    if workload.replicas is not None:
        return workload.replicas
    return 1 if workload.eligible is None else len(workload.eligible)


def _dark(workload: Workload, least: int, *, sole: bool) -> Certainty:
    """Whether a node is without a ready pod for a while: new pods of anything but a DaemonSet may
    come up on any node, and one that has a node for itself cannot come up beside the old."""
    daemon = workload.replicas is None
    if daemon and workload.rollout.surge and not workload.alone:
        return "impossible"
    return "certain" if sole and (daemon or not least) else "possible"


def _needed(balancer: Balancer) -> float | None:
    """Seconds for which a node without a ready pod is still sent to. Those who watch endpoints
    learn of it from the API, at once."""
    if balancer.watches == "nothing":
        return None
    checked = balancer.watches == "health checks"
    return max(SYNC_SECONDS, (balancer.detection or 0.0) if checked else 0.0)
