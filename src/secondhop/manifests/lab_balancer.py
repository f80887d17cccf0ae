"""The `balancer` section of a Lab: what stands before the cluster, outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from ..model.cluster import Network
from .problems import invalid
from .ranges import overlap
from .resource import Resource

USUAL_POOLS: tuple[Network, ...] = (
    IPv4Network("192.0.2.0/24"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv6Network("2001:db8:2::/112"),
    IPv6Network("2001:db8:51::/112"),
    IPv6Network("2001:db8:113::/112"),
)
"""Documentation ranges: of each family the first that nothing else in the Lab touches."""


@dataclass(frozen=True, slots=True)
class Balancer:
    """An outside load balancer.

    kind: `ecmp` spreads connections over all healthy nodes, `single-node` sends all to one of them
    until that one fails. pool: where the addresses of LoadBalancer Services come from. interval:
    seconds between two health checks of a node, and what each may take. threshold: how many in a
    row turn the verdict.
    """

    kind: Literal["ecmp", "single-node"] = "ecmp"
    pool: tuple[Network, ...] = ()
    interval: float = 1.0
    threshold: int = 2


_USUAL = Balancer()


def read_balancer(resource: Resource, taken: Sequence[Network]) -> Balancer:
    """The Balancer of a Lab. taken: every other range that the Lab has."""
    interval = resource.get("balancer", "interval")
    interval = _USUAL.interval if interval is None else interval
    threshold = resource.get("balancer", "threshold")
    threshold = _USUAL.threshold if threshold is None else threshold
    if not 0 < interval < float("inf"):
        why = invalid(interval, "must be greater than 0")
        resource.refuse(("balancer", "interval"), why, "Give seconds; 1 is the default.")
    if threshold < 1:
        why = invalid(threshold, "must be greater than 0")
        resource.refuse(("balancer", "threshold"), why, "Give a count; 2 is the default.")
    return Balancer(
        kind="single-node" if resource.get("balancer", "kind") == "single-node" else "ecmp",
        pool=_pool(resource, taken),
        interval=float(interval),
        threshold=threshold,
    )


def _pool(resource: Resource, taken: Sequence[Network]) -> tuple[Network, ...]:
    texts = resource.get("balancer", "pool")
    if texts is None:
        return usual_pool(taken)
    found = []
    for n, text in enumerate(texts):
        path = ("balancer", "pool", n)
        network = resource.network(path, text)
        if network is None:
            continue
        found.append(network)
        for other in taken:
            if overlap(network, other):
                resource.refuse(
                    path,
                    f"{network} overlaps {other}, which the Lab uses itself",
                    "Choose a range of its own: the router brings it to the nodes.",
                )
    return tuple(found)


def usual_pool(taken: Sequence[Network]) -> tuple[Network, ...]:
    """The pool where the Lab names none."""
    free = [r for r in USUAL_POOLS if not any(overlap(r, other) for other in taken)]
    firsts = (next((r for r in free if r.version == family), None) for family in (4, 6))
    return tuple(r for r in firsts if r is not None)
