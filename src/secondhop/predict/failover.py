"""What a lost node and a rollout cost (semantics §6.3, §14; KEP-1669)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ..model.placement import Certainty, Outlook
from ..model.workload import Workload
from .balancers import Balancer

SYNC_SECONDS = 5.0
"""Pods that served so long while terminating lost no connection in any rollout (§14)."""


class NodeLoss(NamedTuple):
    """The worst that the loss of one node does.

    all_pods: whether one node may have every pod, so that none is left. share: of fresh connections
    through the other nodes that go on to the dead node's pods until the control plane takes them
    for unready; none under Local, where only the dead node itself leads to its pods. homeless: its
    pods find no other node.
    """

    all_pods: Certainty
    share: float
    homeless: bool


def node_loss(
    homes: Counter[str],
    outlook: Outlook | None,
    *,
    local: bool,
    eligible: int,
) -> NodeLoss:
    """homes: usable pods by node, where they are placed; outlook: where some are not. eligible:
    nodes that the pods may go to."""
    if outlook is None:
        most, pods = max(homes.values(), default=0), sum(homes.values())
        all_pods: Certainty = "certain" if most == pods > 0 else "impossible"
    else:
        most, pods = outlook.crowded, max(outlook.least, 1)
        all_pods = "possible" if most >= pods else "impossible"
        if outlook.most == 1 or len(outlook.always) + len(outlook.maybe) == 1:
            all_pods = "certain"
    share = 0.0 if local else min(1.0, most / max(pods, 1))
    return NodeLoss(all_pods, share, eligible <= 1)


class RolloutGap(NamedTuple):
    """A rollout in which pods stop serving too early. served: seconds that a pod serves on after it
    is told to end. needed: seconds until nobody sends to it any more."""

    workload: Workload
    served: float
    needed: float


def rollout_gap(workload: Workload, *, local: bool, balancer: Balancer) -> RolloutGap | None:
    """None where nothing is lost, or where nobody knows how long the pods serve on.

    Under Local a node whose last ready pod ends says 503 at once and serves on by that pod, until
    the balancer has noticed (§6.3); a DaemonSet that surges has another one there by then.
    """
    rollout = workload.rollout
    if rollout.pre_stop is None or not (rollout.surge or rollout.unavailable):
        return None
    stays_lit = workload.replicas is None and rollout.surge > 0 and not workload.alone
    checked = local and balancer.watches == "health checks" and not stays_lit
    needed = max(SYNC_SECONDS, (balancer.detection or 0.0) if checked else 0.0)
    served = min(rollout.pre_stop, rollout.grace)
    return RolloutGap(workload, served, needed) if served < needed else None
