"""How long a kubelet waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; Kubernetes' own values.

    back_off: before the second restart of a container, doubled for each one after it, up to
    longest_back_off; the first is at once. A container that ran for twice the longest has a clean
    slate. retry: before trying again what lacks something. renew: between a node's signs of life.
    last: what a container has at least after its preStop hook, if its grace period has that much.
    """

    back_off: float = 10.0
    longest_back_off: float = 300.0
    retry: float = 2.0
    renew: float = 10.0
    last: float = 2.0


USUAL = Timing()
