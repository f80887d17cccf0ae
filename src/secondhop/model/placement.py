"""What holds in every placement that the manifests allow, and what only in some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Certainty: TypeAlias = Literal["certain", "possible", "impossible"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A service port some of whose pods nobody has placed, over all placements.

    least, most: pods that find a node. wanted: pods asked for; None where a DaemonSet counts nodes
    that are not known. empty: some node has no pod. anywhere: some node has one. always, maybe,
    never: the nodes that have a pod in all, some and no placements; all empty where no nodes are
    known, and then even_up_to says with how many nodes none is without (None: with any number), and
    short_above with more than how many one must be (None: never). thinnest: fewest pods on a node
    that has one. concentration: no pod gets more than this fraction of what is dealt evenly to the
    nodes that have one. crowded: most pods on one node. fewest: fewest nodes that have a pod, if
    any finds a node. host_network: some of
    the unplaced pods have their node's address. remedy: what would make it certain that no
    node is without a pod; empty where it is.
    """

    least: int
    most: int
    wanted: int | None
    empty: Certainty
    anywhere: Certainty
    nodes_known: bool = True
    always: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    even_up_to: int | None = 0
    short_above: int | None = 0
    thinnest: int = 1
    concentration: float = 1.0
    crowded: int = 1
    fewest: int = 1
    host_network: bool = False
    remedy: str = ""
