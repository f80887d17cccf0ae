"""One connection: as it was recorded (packets at interfaces, rules met), and what `evidence` and
`experiment` make of that (the ways of its packets, and the one predicted beside the one seen)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .cluster import Cluster, Service
from .fate import Fate, Outcome, Seen
from .flow import Flow

_NAT = frozenset({"DNAT", "SNAT", "MASQUERADE", "REDIRECT"})


class Addresses(NamedTuple):
    """Between whom a packet goes. protocol: TCP or UDP; ICMP has no ports (0)."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str

    @property
    def back(self) -> Addresses:
        """Those of an answer."""
        return Addresses(
            self.destination, self.destination_port, self.source, self.source_port, self.protocol
        )


class Frame(NamedTuple):
    """A packet at an interface. nanoseconds: since the epoch. place: `client`, `router`,
    `node/NAME`, `pod/NAME`. data: from the Ethernet header on."""

    nanoseconds: int
    place: str
    device: str
    outgoing: bool
    data: bytes


class RuleKey(NamedTuple):
    """What names a rule in one node's kernel."""

    node: str
    family: str
    table: str
    chain: str
    handle: int


class Met(NamedTuple):
    """A rule, and the chain that it led to (empty if none): of a map it tells the element."""

    rule: RuleKey
    target: str


class RuleEvent(NamedTuple):
    """A packet met a rule whose matches held, or came to a chain's policy (handle 0).

    packet: the kernel's number for the packet. verdict: drop, accept, queue, continue, break, jump,
    goto or return. incoming, outgoing: devices, empty if none. state: conntrack's, empty if the
    kernel does not tell. network, transport: the packet's headers as they were then; the kernel
    sends them once for each chain that packets enter by themselves.
    """

    met: Met
    packet: int
    verdict: str
    incoming: str = ""
    outgoing: str = ""
    state: str = ""
    network: bytes = b""
    transport: bytes = b""


def pod_place(namespace: str, name: str) -> str:
    """A pod as a place, in the way in which `secondhop lab exec` takes it."""
    return f"pod/{name}" if namespace == "default" else f"pod/{namespace}/{name}"


@dataclass(frozen=True, slots=True)
class Recording:
    """What was seen of one connection.

    place: where it started. dialled: with the port it was sent from. fate, evidence: what became of
    it, as the probe tells. seen: who answered. rules: the text of each rule met, as far as there
    was one. notes: what was not recorded, and why.
    """

    place: str
    dialled: Addresses
    fate: Fate
    evidence: str
    seen: Seen | None
    frames: tuple[Frame, ...]
    events: tuple[RuleEvent, ...] = ()
    rules: Mapping[Met, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that the packet met.

    text: as iptables-save or nft print it, or its place in the kernel if it is gone. verdict: as a
    RuleEvent's. state: conntrack's. what, field: in words, and the object's field behind it; empty
    where it only leads to the next. owner: kube-proxy, flannel, or empty for somebody else's.
    """

    node: str
    text: str
    verdict: str
    state: str = ""
    what: str = ""
    field: str = ""
    owner: str = ""

    @property
    def translates(self) -> bool:
        """Whether it is one that does NAT."""
        return not _NAT.isdisjoint(self.text.upper().split())


@dataclass(frozen=True, slots=True)
class Sighting:
    """The packet at an interface.

    seconds: since the first packet. outer: between whom the packet goes that carries it, if it is
    encapsulated. change: DNAT, SNAT or both, since the sighting before. rules: met since then.
    frame: its place among the trace's frames.
    """

    seconds: float
    place: str
    device: str
    outgoing: bool
    addresses: Addresses
    ttl: int
    outer: Addresses | None = None
    change: str = ""
    rules: tuple[Rule, ...] = ()
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Way:
    """One packet's way. packet: `SYN`, `SYN-ACK`, `ICMP 3/3` and the like. request: whether it goes
    from the sender to the backend. origin: its addresses as the sender made it. last: rules met
    after the last sighting."""

    packet: str
    request: bool
    origin: Addresses
    sightings: tuple[Sighting, ...]
    last: tuple[Rule, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules that it met."""
        return tuple(r for s in self.sightings for r in s.rules) + self.last

    @property
    def dropped_by(self) -> Rule | None:
        """The rule that ended it, if one did. REJECT ends it too, and sends an ICMP error."""
        return next((rule for rule in self.rules if rule.verdict == "drop"), None)


class Station(NamedTuple):
    """One thing that happens on the request's way, as predicted and as seen: at which place, what;
    empty on the side where it does not happen."""

    place: str
    what: str
    predicted: str
    observed: str

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.predicted == self.observed


@dataclass(frozen=True, slots=True)
class Trace:
    """One connection: what was predicted, what was recorded, and the two side by side.

    cluster: as it stood then. service: as which it was dialled, if any. ways: those of its packets,
    the first packet's first. frames: its packets at interfaces, which the ways' sightings count.
    """

    cluster: Cluster
    service: Service | None
    flow: Flow
    predicted: Outcome
    recording: Recording
    ways: tuple[Way, ...]
    frames: tuple[Frame, ...]
    stations: tuple[Station, ...]

    @property
    def lost(self) -> Way | None:
        """The packet that a rule dropped or rejected, where the connection failed by it."""
        if self.recording.fate is Fate.DELIVERED:
            return None
        return next((way for way in self.ways if way.dropped_by), None)

    @property
    def agree(self) -> bool:
        """Whether the packets went as predicted."""
        return all(station.same for station in self.stations)
