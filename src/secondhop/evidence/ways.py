"""The ways that the packets of one connection took, from what was recorded.

NAT changes addresses and ports, but neither TCP's sequence numbers nor a datagram's payload: by
those a packet is recognised at every interface. Which addresses belong to the connection follows
from where its first packet was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..model.cluster import Cluster
from ..model.trace import Addresses, Frame, Recording, Rule, RuleEvent, Sighting, Way
from .packet import Packet, parse, parse_headers
from .words import Teller

_BILLION = 1_000_000_000
_TCP_HEADER = 4
"""Of an identity of TCP: what every packet has that a rule reports, which tells no length."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A frame of the connection, understood."""

    number: int
    frame: Frame
    packet: Packet


def flow_frames(recording: Recording) -> tuple[Frame, ...]:
    """The packets that belong to the connection, in the order of time."""
    return tuple(heard.frame for heard in _Flow(recording).heard)


def ways(recording: Recording, cluster: Cluster) -> tuple[Way, ...]:
    """Every packet of the connection with the interfaces that it passed and the rules that it met,
    the first first. `Sighting.frame` counts among `flow_frames`. cluster: whose Services the rules
    are explained with."""
    flow = _Flow(recording)
    if flow.first is None:
        return ()
    groups: dict[tuple[bool, object], list[_Heard]] = {(True, flow.first.identity): []}
    for one in flow.heard:
        groups.setdefault((flow.is_forward(one.packet), one.packet.identity), []).append(one)
    return tuple(
        _way(flow, request, group, recording, cluster) for (request, _), group in groups.items()
    )


class _Flow:
    """What belongs to one connection.

    first: its first packet, None if nothing was seen of it. heard: its frames in the order of time.
    forward: the addresses that its requests bore on their way.
    """

    def __init__(self, recording: Recording) -> None:
        understood = [(f, p) for f in recording.frames if (p := parse(f.data))]
        self.first = _first(understood, recording)
        self.forward = {recording.dialled}
        if self.first is not None:
            same = (p.addresses for _, p in understood if p.identity == self.first.identity)
            self.forward.update(same)
        both = self.forward | {addresses.back for addresses in self.forward}
        mine = [
            (frame, packet)
            for frame, packet in understood
            if packet.addresses in both or packet.about in both
        ]
        self.heard = [_Heard(number, *one) for number, one in enumerate(mine)]
        self.began = mine[0][0].nanoseconds if mine else 0

    def is_forward(self, packet: Packet) -> bool:
        """Whether it goes the request's way."""
        if packet.about is not None:
            return packet.about not in self.forward
        return packet.addresses in self.forward


def _first(understood: Sequence[tuple[Frame, Packet]], recording: Recording) -> Packet | None:
    """The connection's first packet. What a process of a node sends is translated, or refused,
    before any interface sees it: then the rules that it met tell what it was and became."""
    dialled = recording.dialled
    at_sender = [packet for frame, packet in understood if frame.place == recording.place]
    for packet in at_sender:
        if packet.addresses == dialled:
            return packet
    sent: Packet | None = None
    number: tuple[str, int] | None = None
    to = dialled
    for event in recording.events:
        key = event.met.rule.node, event.packet
        met = parse_headers(event.network, event.transport)
        if met and sent is None and met.addresses == dialled:
            sent, number = met, key
        if met and key == number:
            to = met.addresses
    return next((packet for packet in at_sender if packet.addresses[2:] == to[2:]), sent)


def _way(
    flow: _Flow, request: bool, group: Sequence[_Heard], recording: Recording, cluster: Cluster
) -> Way:
    """One packet's way; what was sent once more is the same packet, and told once."""
    once: dict[object, _Heard] = {}
    for one in group:
        frame, packet = one.frame, one.packet
        once.setdefault(
            (frame.place, frame.device, frame.outgoing, packet.ttl, packet.addresses, packet.outer),
            one,
        )
    sample = group[0].packet if group else flow.first
    assert sample is not None
    is_first = request and flow.first is not None and sample.identity == flow.first.identity
    origin = recording.dialled if is_first else sample.addresses
    sightings = list(_sightings(flow.began, origin, once.values()))
    addresses = {origin, *(one.packet.addresses for one in group)}
    gaps: list[list[Rule]] = [[] for _ in range(len(sightings) + 1)]
    met: set[object] = set()
    tellers: dict[str, Teller] = {}
    for event, packet in _events(recording, sample, addresses):
        key = event.met, event.incoming, event.outgoing, packet.ttl, event.verdict
        if key in met or (event.met.rule.handle == 0 and event.verdict != "drop"):
            continue
        met.add(key)
        teller = tellers.setdefault(event.met.rule.node, Teller(cluster))
        rule = teller.tell(event, recording.rules.get(event.met, ""), packet.addresses)
        if rule is not None:
            gaps[_gap(event, packet, sightings)].append(rule)
    return Way(
        sample.kind,
        request,
        origin,
        tuple(replace(s, rules=tuple(r)) for s, r in zip(sightings, gaps, strict=False)),
        tuple(gaps[-1]),
    )


def _sightings(began: int, before: Addresses, group: Iterable[_Heard]) -> Iterator[Sighting]:
    for one in group:
        frame, packet = one.frame, one.packet
        yield Sighting(
            (frame.nanoseconds - began) / _BILLION,
            frame.place,
            frame.device,
            frame.outgoing,
            packet.addresses,
            packet.ttl,
            packet.outer,
            change(before, packet.addresses),
            frame=one.number,
        )
        before = packet.addresses


def change(before: Addresses, after: Addresses) -> str:
    """What NAT did between two sightings: DNAT, SNAT, both, or nothing."""
    done = []
    if before[2:4] != after[2:4]:
        done.append("DNAT")
    if before[:2] != after[:2]:
        done.append("SNAT")
    return " and ".join(done)


def _events(
    recording: Recording, sample: Packet, addresses: set[Addresses]
) -> Iterator[tuple[RuleEvent, Packet]]:
    """What the packet met, with its headers then. The kernel tells headers, devices and state with
    the first rule of each chain that packets enter by themselves; they hold for those after it."""
    current: dict[tuple[str, int], tuple[RuleEvent, Packet | None]] = {}
    mine: dict[tuple[str, int], bool] = {}
    for event in recording.events:
        key = event.met.rule.node, event.packet
        if event.network:
            packet = parse_headers(event.network, event.transport)
            current[key] = event, packet
            mine[key] = packet is not None and (
                packet.identity[:_TCP_HEADER] == sample.identity[:_TCP_HEADER]
                if sample.addresses.protocol == "TCP"
                else _same_datagram(packet, addresses, before=mine.get(key, False))
            )
        first, packet = current.get(key, (event, None))
        if packet is not None and mine[key]:
            incoming, outgoing, state = first.incoming, first.outgoing, first.state
            yield event._replace(incoming=incoming, outgoing=outgoing, state=state), packet


def _same_datagram(packet: Packet, addresses: set[Addresses], *, before: bool) -> bool:
    """Whether a datagram, of which rules tell no payload, is one that bore these addresses at
    interfaces: by them, or because it was so far and only one of its ends differs by now."""
    if packet.addresses in addresses:
        return True
    source, destination = packet.addresses[:2], packet.addresses[2:]
    return before and any(source == a[:2] or destination == a[2:] for a in addresses)


def _gap(event: RuleEvent, packet: Packet, sightings: Sequence[Sighting]) -> int:
    """Between which sightings a rule was met: the number of the one after it.

    A rule that knows the device by which the packet leaves stands before it leaves there, any other
    after it came in. A forwarded packet has lost one of its TTL in between.
    """
    here = f"node/{event.met.rule.node}"
    mine = [(n, s) for n, s in enumerate(sightings) if s.place == here and s.outer is None]
    leaving = [n for n, s in mine if s.outgoing and s.ttl == packet.ttl]
    came = [n for n, s in mine if not s.outgoing and s.ttl in (packet.ttl, packet.ttl + 1)]
    if event.outgoing:
        by_device = [n for n in leaving if sightings[n].device == event.outgoing]
        if by_device or (leaving and not event.incoming):
            return (by_device or leaving)[0]
        came.reverse()
    elif by_device := [n for n in came if sightings[n].device == event.incoming]:
        came = by_device
    return came[0] + 1 if came else len(sightings)
