"""What would make it certain that no node is without a pod."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.workload import HOSTNAME, Workload
from .reach import wider

SPREAD = (
    "a topologySpreadConstraint on kubernetes.io/hostname (maxSkew: 1, whenUnsatisfiable:"
    " DoNotSchedule)"
)


def remedy(workloads: Sequence[Workload], never: Sequence[str], nodes: int) -> str:
    """What would make it certain that no node is without a pod. never: the nodes that take none;
    nodes: how many there are, 0 where that is not known."""
    replicas = max(workload.replicas or 0 for workload in workloads)
    wishes = []
    if all(workload.replicas is not None for workload in workloads):
        wishes.append("a DaemonSet")
    choosy = bool(never) or any(workload.choosy for workload in workloads)
    if wishes and not choosy and not any(w.loose or wider(w) for w in workloads):
        many = f"at least {nodes} replicas" if nodes else "at least as many replicas as nodes"
        evenly = any(room(workload) == 1 for workload in workloads)
        needs = [] if nodes and replicas >= nodes else [many]
        wishes.append(" with ".join(needs if evenly else [*needs, SPREAD]) or many)
    wish = ", or ".join(wishes)
    if not choosy:
        return wish or "nothing that keeps its pods off a node (host ports, anti-affinity)"
    where = "every node" if not never else ", ".join(never[:3]) + (" …" if len(never) > 3 else "")
    admitting = f"a nodeSelector and tolerations that let pods go to {where}"
    return f"{wish} with {admitting}" if wish else admitting


def room(workload: Workload) -> int:
    """Pods that a node takes while another is empty; 0: any number."""
    skews = [spread.max_skew for spread in workload.spreads if spread.key == HOSTNAME]
    return 1 if workload.alone else min(skews, default=0)
