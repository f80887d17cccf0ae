"""How long a kubelet waits."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; Kubernetes' own values.

    back_off: before the second restart of a container, doubled for each one after it, up to
    longest_back_off; the first is at once. A container that ran for twice the longest has a clean
    slate. retry: before trying again what lacks something. renew: between a node's signs of life.
    relist: until it is noticed that a container has ended by itself; at once unless told otherwise.
    last: what a container has at least after its preStop hook, if its grace period has that much.
    """

    back_off: float = 10.0
    longest_back_off: float = 300.0
    retry: float = 2.0
    renew: float = 10.0
    last: float = 2.0
    relist: float = 0.0


USUAL = Timing()
RELIST = 1.0
"""How often a kubelet asks its container runtime what still runs (the generic PLEG's period)."""
_LEAST_RENEWAL = 0.05


def timing(grace: float) -> Timing:
    """Of kubelets that show signs of life often enough for the grace, in seconds, that a silent
    node has."""
    return replace(USUAL, renew=min(USUAL.renew, max(grace / 5, _LEAST_RENEWAL)))
