"""What happened to a flow on its way: inert data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..model.cluster import Address, Endpoint, Node
from ..model.fate import Fate, HealthAnswer
from ..model.placement import Certainty
from .routing import Exit, Place
from .verdict import Packet, Verdict


class Sent(NamedTuple):
    """A packet as it leaves a node for elsewhere, and the device it leaves by."""

    packet: Packet
    exit: Exit


@dataclass(frozen=True, slots=True)
class Hop:
    """A node that saw the packet.

    by_via: whether the flow's `via` brought it here. sent: None where the journey ended.
    """

    node: Node
    packet: Packet
    verdict: Verdict
    by_via: bool
    sent: Sent | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One pod that may get the connection.

    place: where its address leads. exit: how the last hop sends it there.
    source: what the pod sees; replaced, source_rule: whether the last hop put it there, and by
    which rule. answered: whether the pod's answer finds the way back.
    """

    endpoint: Endpoint
    place: Place
    exit: Exit
    source: Address
    replaced: bool
    source_rule: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Trail:
    """What happened to a flow.

    origin: the packet as the sender made it. hops: none where it met no node. where, why: who ended
    it, and a clause saying why.
    routed: whether the flow's `via` mattered. certainty: see Outcome.
    """

    origin: Packet
    hops: tuple[Hop, ...]
    fate: Fate
    where: str
    why: str = ""
    deliveries: tuple[Delivery, ...] = ()
    http: HealthAnswer | None = None
    routed: bool = False
    certainty: Certainty | None = None
