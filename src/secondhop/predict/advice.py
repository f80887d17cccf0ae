"""What would make an update safe, from what it would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..model.difference import Difference
from ..model.fate import Fate
from ..model.share import Share
from .balancers import BALANCERS
from .services import has_health_check
from .share import BALANCERS_OWN

_UNEVEN = 1.05  # a pod may get this many times the share of another


def advice(found: Difference) -> Difference:
    """The same difference with its advice, the most urgent first."""
    return replace(found, advice=tuple(_advice(found)))


def _advice(found: Difference) -> Iterator[str]:
    dark = found.entries(Fate.DELIVERED, Fate.DROPPED)
    if found.outlook is not None:
        yield f"have a pod on every node for certain: {found.outlook.remedy}"
    elif dark and found.updated.external_traffic_policy == "Local":
        size = len(found.cluster.nodes)
        yield (
            "keep a ready pod on every node that is sent traffic: a DaemonSet, or at least"
            f" {size} replicas with a topologySpreadConstraint on kubernetes.io/hostname"
            " (maxSkew: 1, whenUnsatisfiable: DoNotSchedule)"
        )
    if dark and any(share.lost for share in found.shares_after):
        yield _aware(found)
    if _unevenness(found.shares_after) > max(_UNEVEN, _unevenness(found.shares_before)):
        yield (
            "run the same number of pods on every node, or use a balancer that weighs nodes by"
            " X-Load-Balancing-Endpoint-Weight (--balancer weighted)"
        )
    for admission in found.admissions:
        if admission.cut_off:
            refused = ", ".join(str(ip) for ip, good in admission.after.items() if not good)
            yield f"let NetworkPolicy {admission.policy} admit {refused} first"
    if has_health_check(found.updated) and not has_health_check(found.service):
        port = found.updated.health_check_node_port
        yield f"let the balancer reach the health check node port of every node ({port} here)"
    proxied = any(BALANCERS_OWN in share.sources for share in found.shares_after)
    if proxied and found.updated.external_traffic_policy == "Local":
        yield "take the client's address from PROXY protocol or X-Forwarded-For: Local has it not"


def _aware(found: Difference) -> str:
    """Which balancer would not send to nodes that drop."""
    if BALANCERS[found.balancer].one_node:
        return "let a node without a ready pod give up the address (metallb-l2 does)"
    if found.updated.type == "LoadBalancer":
        return "use a balancer that heeds the healthCheckNodePort (--balancer healthy-nodes)"
    return (
        "use a balancer that checks each node's port (--balancer healthy-nodes), or type"
        " LoadBalancer, which has a healthCheckNodePort to check"
    )


def _unevenness(shares: Sequence[Share]) -> float:
    """The greatest ratio between the shares of two pods that one balancer serves."""
    ratios = [max(s.pods.values()) / min(s.pods.values()) for s in shares if s.pods]
    return max(ratios, default=1.0)
