"""Where the connections that a balancer hands out land."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cluster import Family, ServicePort
from .fate import Fate


@dataclass(frozen=True, slots=True)
class Share:
    """Fresh connections to one service port through a balancer, in fractions of all (semantics
    §5.1): pods, lost and unsent sum to 1.

    holder: the node that has the address, where the balancer gives it to one node at a time and
    nobody can say to which; None where several enter. entries: weight by node, of those that get
    any. pods: by name, or by address where a slice names none. lost: what did not reach a pod, by
    what the network did with it. unsent: for want of a node to send to. sources: the addresses
    that pods see; `the balancer's` where it opens connections of its own.
    """

    port: ServicePort
    family: Family
    holder: str | None = None
    entries: Mapping[str, float] = field(default_factory=dict)
    pods: Mapping[str, float] = field(default_factory=dict)
    lost: Mapping[Fate, float] = field(default_factory=dict)
    unsent: float = 0.0
    sources: tuple[str, ...] = ()
