"""One connection for a terminal: the verdict, the predicted way beside the one seen, and then every
interface with what happened between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.fate import Fate
from ..model.trace import Addresses, Rule, Sighting, Trace, Way
from .explain import asked
from .layout import of_version, table, wrapped

_ENDED = {Fate.REJECTED: "rejected"}
_LEGEND = {
    "DNAT": "the node replaced the destination: nobody has the Service's address, but a pod has its"
    " own",
    "SNAT": "the node replaced the source, so that the answer comes back through it and can be"
    " translated back; the pod does not see the sender's address",
    "VXLAN": "the second hop: the pod is on another node, to which the packet goes inside another",
    "conntrack": "a node's memory of connections. Only the first packet of one is NEW and meets the"
    " rules that translate; for the others, and for answers, they are remembered",
    "dropped": "nobody tells the sender: it waits until it gives up",
    "rejected": "an ICMP error tells the sender at once: connection refused",
}
_TIME = 12
_UNDER = " " * _TIME
_MICRO = 1_000_000
_LOOPED = 24
"""Sightings of one packet that are told; of one that circles there are hundreds."""


def trace(told: Trace, elapsed: float, *, verbose: bool) -> Iterator[str]:
    """The report. elapsed: seconds. verbose: also the rules that only lead to others."""
    recording, observed = told.recording, told.recording.fate
    what = asked(told.service, told.flow)
    yield from wrapped(f"{what}: {observed} {of_version(told.cluster.kube_version)}", "")
    if seen := recording.seen:
        yield f"Pod {seen.pod} answered; it saw {seen.source_ip}."
    elif (lost := told.lost) and (rule := lost.dropped_by):
        ended = f"The {lost.packet} was {_ENDED.get(observed, 'dropped')} on {rule.node}"
        yield from wrapped(f"{ended}, by {rule.text}", "")
    elif recording.evidence:
        yield from wrapped(f"{recording.evidence[0].upper()}{recording.evidence[1:]}.", "")
    how = "as predicted" if told.agree else "OTHERWISE than predicted"
    yield f"The packets went {how} ({elapsed:.2f} s)."
    yield ""
    yield from _stations(told)
    shown = [*_shown(told)]
    for title, way in shown:
        yield ""
        yield from wrapped(f"{title}: {way.packet} {_ends(way.origin)}", "")
        yield from _way(way, verbose=verbose)
    if rest := len(told.ways) - len(shown):
        yield ""
        yield f"Not told: {rest} more packets of the connection; --pcap FILE keeps all."
    if legend := [*_legend(told)]:
        yield from ("", *legend)
    for note in recording.notes:
        yield from wrapped(note, "")


def _stations(told: Trace) -> Iterable[str]:
    rows = [("AT", "PREDICTED", "SEEN")]
    for one in told.stations:
        at = one.place.removeprefix("node/")
        seen = "the same" if one.same else f"DIFFERENT: {one.what} {one.observed}"
        if not one.observed:
            seen = "DIFFERENT: not seen"
        predicted = f"{one.what} {one.predicted}" if one.predicted else "(not predicted)"
        rows.append((at, predicted, seen))
    return table(rows, [""] * len(rows))


def _legend(told: Trace) -> Iterator[str]:
    """What the words mean that were used."""
    request = told.ways[0] if told.ways else None
    changes = " ".join(s.change for s in request.sightings) if request else ""
    states = {rule.state for way in told.ways for rule in way.rules}
    used = {
        "DNAT": "DNAT" in changes,
        "SNAT": "SNAT" in changes,
        "VXLAN": request is not None and any(s.outer for s in request.sightings),
        "conntrack": bool(states & {"NEW", "ESTABLISHED"}),
        "dropped": told.recording.fate is Fate.DROPPED,
        "rejected": told.recording.fate is Fate.REJECTED,
    }
    for word, meaning in _LEGEND.items():
        if used[word]:
            yield from wrapped(f"{word}: {meaning}", "", "  ")


def _shown(told: Trace) -> Iterator[tuple[str, Way]]:
    """The first packet, the first answer, and a later one that was lost."""
    first = told.ways[:1]
    answer = [way for way in told.ways if not way.request][:1]
    yield from (("The request", way) for way in first)
    yield from (("The answer", way) for way in answer)
    if told.lost and told.lost not in (*first, *answer):
        yield "Lost", told.lost


def _way(way: Way, *, verbose: bool) -> Iterator[str]:
    """Interfaces that the packet passes unchanged, one after the other in one place, share a
    line."""
    before, carried = way.origin, None
    for group in _passages(way.sightings[:_LOOPED], verbose=verbose):
        first = group[0]
        yield from _rules(first.rules, verbose=verbose)
        passed = ", ".join(f"{s.device} {'out' if s.outgoing else 'in'}" for s in group)
        state = next((r.state for s in group for r in s.rules if r.state), "")
        line = f"{first.seconds * _MICRO:>8.0f} us {first.place}: {passed}"
        line += f"  (conntrack: {state})" if state else ""
        yield from wrapped(line, "", f"{_UNDER}  ")
        for line in translation(before, first.addresses, request=way.request):
            yield f"{_UNDER}  {line}"
        if first.outer and first.outer != carried:
            yield f"{_UNDER}  inside VXLAN from {first.outer.source} to {first.outer.destination}"
        before, carried = first.addresses, first.outer
    if len(way.sightings) > _LOOPED:
        yield f"{_UNDER}and {len(way.sightings) - _LOOPED} more: it circles"
    if state := next((rule.state for rule in way.last if rule.state), ""):
        yield f"{_UNDER}| conntrack: {state}"
    yield from _rules(way.last, verbose=verbose)


def _passages(sightings: Sequence[Sighting], *, verbose: bool) -> Iterator[list[Sighting]]:
    group: list[Sighting] = []
    for one in sightings:
        if group:
            last = group[-1]
            same = (last.place, last.addresses, last.outer) == (one.place, one.addresses, one.outer)
            if not same or _worth_telling(one.rules, verbose=verbose):
                yield group
                group = []
        group.append(one)
    if group:
        yield group


def _worth_telling(rules: Sequence[Rule], *, verbose: bool) -> list[Rule]:
    """Rules that decide something, and any that neither kube-proxy nor flannel has written."""
    return [r for r in rules if verbose or r.what or not r.owner or r.verdict == "drop"]


def _rules(rules: Sequence[Rule], *, verbose: bool) -> Iterator[str]:
    for rule in _worth_telling(rules, verbose=verbose):
        what = rule.what or f"({rule.verdict})"
        if not rule.owner:
            what = f"{rule.verdict}: a rule that is neither kube-proxy's nor flannel's"
        yield from wrapped(what, f"{_UNDER}| ", f"{_UNDER}|   ")
        for line in filter(None, (rule.field, rule.text)):
            yield from wrapped(line, f"{_UNDER}|   ", f"{_UNDER}|     ")


def translation(old: Addresses, new: Addresses, *, request: bool) -> Iterator[str]:
    """What NAT did between two sightings. An answer is translated back, by what the node remembers
    of the request."""
    words = (
        ("DNAT: to", "SNAT: from") if request else ("translated back: to", "translated back: from")
    )
    if (old.destination, old.destination_port) != (new.destination, new.destination_port):
        was, now = _end(old.destination, old.destination_port), _end(*new[2:4])
        yield f"{words[0]} {was} became {now}"
    if (old.source, old.source_port) != (new.source, new.source_port):
        yield f"{words[1]} {_end(*old[:2])} became {_end(*new[:2])}"


def _ends(addresses: Addresses) -> str:
    return f"from {_end(*addresses[:2])} to {_end(*addresses[2:4])}"


def _end(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else host
