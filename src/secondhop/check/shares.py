"""How evenly connections spread over pods, and whether affinity can tell clients apart."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.finding import Finding
from .case import ETP, Case, Rule

UNEVEN = 1.5
"""A pod may get less than this many times the share of another."""
_ROUNDING = 1e-9


def uneven(case: Case) -> Iterator[Finding]:
    """Each node, or zone, splits its part among its own pods, however many (semantics §5.1)."""
    for landing in case.landings:
        if len(landing.pods) < 2:
            continue
        most = max(landing.pods, key=lambda pod: landing.pods[pod])
        least = min(landing.pods, key=lambda pod: landing.pods[pod])
        ratio = landing.pods[most] / landing.pods[least]
        if ratio < UNEVEN - _ROUNDING:
            continue
        message = (
            f"behind {case.around.balancer} pod {most} gets {landing.pods[most]:.1%} of the"
            f" connections to port {landing.port.port}, {least} {landing.pods[least]:.1%}:"
        )
        if case.local:
            path, unit = ETP, "node"
        else:
            path, unit = ("spec", "trafficDistribution"), "zone"
        message += f" a {unit} splits its part among its own pods only."
        remedy = f"Run the same number of pods in every {unit} that has one."
        if case.local and case.service.type == "LoadBalancer":
            remedy = (
                "Use a balancer that weighs nodes by X-Load-Balancing-Endpoint-Weight"
                " (--balancer weighted)."
            )
        yield case.find("uneven-share", path, message, remedy)
        return


def shared_address(case: Case) -> Iterator[Finding]:
    """Affinity goes by source address, and a proxying balancer has few (§5.3)."""
    if case.service.affinity_timeout is not None and case.balancer.proxies and case.entries:
        message = (
            f"clients come with the addresses of {case.around.balancer}: on each node all of them"
            " stick to the same pod."
        )
        remedy = "Leave affinity to the balancer, and set sessionAffinity: None."
        yield case.find("affinity-behind-proxy", ("spec", "sessionAffinity"), message, remedy)


PLACED: tuple[Rule, ...] = (uneven,)
ALWAYS: tuple[Rule, ...] = (shared_address,)
