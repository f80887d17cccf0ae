"""What is certain of pods that nobody has placed, where no nodes are known."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.placement import Certainty, Outlook
from ..model.workload import HOSTNAME, Workload
from .reach import wider
from .remedy import remedy, room


def over_any_nodes(workloads: Sequence[Workload]) -> Outlook:
    """Where no nodes are known: any number of them, of which at least one takes the pods."""
    daemon = any(workload.replicas is None for workload in workloads)
    counts = [workload.replicas or 0 for workload in workloads]
    limit = even_up_to(workloads)
    return Outlook(
        least=sum(map(_least, workloads)),
        most=sum(counts),
        wanted=None if daemon else sum(counts),
        empty="impossible" if limit is None else "possible",
        anywhere=somewhere_at_all(workloads),
        nodes_known=False,
        even_up_to=limit,
        short_above=None if daemon else sum(counts),
        concentration=max(map(_concentration, workloads)),
        crowded=sum(counts),
        host_network=any(w.host_network for w in workloads),
        remedy="" if limit is None else remedy(workloads, (), 0),
    )


def even_up_to(workloads: Sequence[Workload]) -> int | None:
    """With how many equal nodes none is without a pod for certain; None: with any number."""
    each = [_alone_even_up_to(workload) for workload in workloads]
    return None if None in each else max(number or 0 for number in each)


def _alone_even_up_to(workload: Workload) -> int | None:
    if workload.choosy or workload.loose or wider(workload) is not None:
        return 0
    if workload.replicas is None:
        return None
    most = room(workload)
    return -(-workload.replicas // most) if most else 1


def _least(workload: Workload) -> int:
    """Pods that find a node if there is one at least that takes them."""
    if workload.loose:
        return 0
    held = any(s.key != HOSTNAME or s.min_domains > 1 for s in workload.spreads)
    one = workload.replicas is None or workload.alone or held
    return 1 if one else workload.replicas or 0


def _concentration(workload: Workload) -> float:
    """All on one node they share alike, and on two at most one is alone."""
    return 0.5 if _least(workload) > 1 else 1.0


def somewhere_at_all(workloads: Sequence[Workload]) -> Certainty:
    """Whether any node has a pod."""
    return "possible" if all(workload.loose for workload in workloads) else "certain"
