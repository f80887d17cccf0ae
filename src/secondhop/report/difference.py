"""A Difference for a terminal: the verdict, what changes with the worst first, shares, and what
would make it safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..model.cluster import Address, Service
from ..model.difference import Admission, Change, Difference
from ..model.fate import Fate, Outcome
from ..model.flow import Destination, Source, entry_nodes
from ..model.share import Share
from .explain import landing, legend
from .fold import Folder, Words, doubt, entry
from .layout import WORDS, columns, few, listed, of_version, wrapped
from .placement import ONE_OF_MANY, dark

_TABLES = 3
_Tables: TypeAlias = dict[tuple[tuple[str, ...], ...], list[str]]  # rows: the cases they are of
_LIVE = (
    "Live connections are not cut: conntrack goes on translating them; only new ones follow the"
    " new rules."
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a Change, as a row."""

    service: Service
    sources: tuple[Source, ...]
    destination: Destination
    vias: tuple[str | None, ...]
    outcome: Outcome
    alike: Mapping[str, tuple[str, ...]]

    @property
    def entries(self) -> tuple[str, ...]:
        """The nodes through which it enters."""
        told = entry_nodes(self.destination, self.vias)
        return self.alike.get(told[0], told) if told else ()


def report(found: Difference) -> Iterator[str]:
    """Everything that is known of an update."""
    yield from wrapped(f"{verdict(found)} {of_version(found.cluster.kube_version)}", "")
    if found.is_empty:
        return
    if found.unplaced:
        yield from ("", f"What follows is so in {ONE_OF_MANY}:")
    if found.changes:
        yield from _changes(Folder(found.cluster, found.alike), found.changes)
    yield from _shares(found)
    for admission in found.admissions:
        yield from ("", *wrapped(_admission(admission), ""))
    yield from ("", *wrapped(_LIVE, ""))
    if found.advice:
        yield "To make it safe:"
        for one in found.advice:
            yield from wrapped(f"- {one}", "  ", "    ")


def verdict(found: Difference) -> str:
    """One sentence, the worst first."""
    head = f"{found.service}: {', '.join(found.settings)}"
    if found.is_empty:
        return f"{head}: nothing changes"
    parts = [*_losses(found), *_behind(found), *_sight(found), *_gains(found)]
    inside = [c for c in found.changes if any(s.node is not None for s in c.sources)]
    if any(_served(c.before) and c.after and not _served(c.after) for c in inside):
        parts.append("callers inside the cluster are cut off" + (" too" if parts else ""))
    elif inside and not parts:
        parts.append("only callers inside the cluster notice")
    if found.service.affinity_timeout != found.updated.affinity_timeout:
        parts.append(_affinity(found.updated))
    return f"{head}: {'; '.join(parts) or _rest(found)}"


def _rest(found: Difference) -> str:
    """What changes where nobody is served worse, better, or with another address."""
    if not _keep(_tables(found)):
        return "pods get other shares"
    if found.changes and all(c.destination.kind == "healthCheckNodePort" for c in found.changes):
        return "only the balancer's health checks notice"
    return "no pod gets another share"


def _losses(found: Difference) -> Iterator[str]:
    told = {Fate.DELIVERED}
    if found.outlook is not None:
        told.add(Fate.DROPPED)
        yield f"cuts off what enters through a node without a pod: {dark(found.outlook)}"
    for fate in Fate:
        nodes = found.entries(Fate.DELIVERED, fate)
        if fate not in told and nodes:
            yield f"cuts off what enters through {few(nodes, 'nodes')}: {WORDS[fate]}"
    if gone := found.entries(Fate.DELIVERED, None):
        yield f"closes the way in through {few(gone, 'nodes')}"


def _behind(found: Difference) -> Iterator[str]:
    """The part of the balancer's connections that is lost now, where some entry is."""
    before, after = map(_lost, (found.shares_before, found.shares_after))
    if found.outlook is not None:
        return  # the shares are those of one placement
    if after > before:
        most = "up to " if len(found.shares_after) > 1 else ""
        yield f"behind {found.balancer} {most}{_percent(after)} of connections are lost"
    elif found.shares_after and found.entries(Fate.DELIVERED, Fate.DROPPED):
        yield f"behind {found.balancer} no more is lost than before"


def _lost(shares: Sequence[Share]) -> float:
    return max((share.unsent + sum(share.lost.values()) for share in shares), default=0.0)


def _gains(found: Difference) -> Iterator[str]:
    for fate in Fate:
        nodes = found.entries(fate, Fate.DELIVERED)
        if fate is not Fate.DELIVERED and nodes:
            one_of_many = found.unplaced and fate is Fate.DROPPED
            where = "a node without a pod" if one_of_many else few(nodes, "nodes")
            yield f"serves what enters through {where}, so far {WORDS[fate]}"
    if new := found.entries(None, Fate.DELIVERED):
        yield f"opens a way in through {few(new, 'nodes')}"


def _sight(found: Difference) -> Iterator[str]:
    """What pods see of the client, where it was served and still is."""
    both = [c for c in found.changes if c.from_outside and _served(c.before) and _served(c.after)]
    # Where nodes stand for others, there are more addresses than the changes name.
    name = Folder(found.cluster).device if found.alike else str
    before = _seen([(c, c.before) for c in both], name)
    after = _seen([(c, c.after) for c in both], name)
    if before != after:
        yield f"pods see {few(after, 'addresses')} instead of {few(before, 'addresses')}"


def _seen(
    sides: Sequence[tuple[Change, Outcome | None]], name: Callable[[Address], str]
) -> list[str]:
    names = (
        "the client's address" if b.source_ip == change.sources[0].ip else name(b.source_ip)
        for change, outcome in sides
        for b in (outcome.backends if outcome else ())
    )
    return list(dict.fromkeys(names))


def _served(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.fate is Fate.DELIVERED


def _affinity(service: Service) -> str:
    if service.affinity_timeout is None:
        return "clients no longer stay with their pod"
    return f"a client stays with its pod, on each node, for {service.affinity_timeout} s"


def _changes(folder: Folder, changes: Sequence[Change]) -> Iterator[str]:
    """Rows of changes that read alike."""
    folded: dict[tuple[Words | None, ...], list[Change]] = {}
    for change in changes:
        sides = (_side(change, told) for told in (change.before, change.after))
        words = tuple(None if side is None else folder.words(side) for side in sides)
        folded.setdefault(words, []).append(change)
    used: set[str] = set()
    cells = [("TO", "FROM", "BEFORE", "AFTER")]
    for (before, after), alike in folded.items():
        rows = [_side(c, c.after) or _side(c, c.before) for c in alike]
        known = [row for row in rows if row is not None]
        senders = folder.senders(known)
        hops = {words.hops for words in (before, after) if words and words.hops != "-"}
        told = _told(before, [_side(c, c.before) for c in alike], len(hops) > 1)
        will = _told(after, [_side(c, c.after) for c in alike], len(hops) > 1)
        cells.append((entry(known), senders, told, will))
        used.update(part for text in (senders, told, will) for part in _terms(text))
    yield ""
    for lines in columns(cells):
        yield from lines
    if explained := list(legend(used - {"dropped"})):
        yield from ("", *explained)


def _side(change: Change, outcome: Outcome | None) -> _Side | None:
    if outcome is None:
        return None
    ends = change.sources, change.destination, change.vias
    return _Side(change.service, *ends, outcome, change.alike)


def _told(words: Words | None, alike: Sequence[_Side | None], with_hops: bool) -> str:
    """What becomes of the flows on one side; with_hops: they differ between the sides."""
    sides = [side for side in alike if side is not None]
    if words is None:
        return "nothing to dial"
    if not sides[0].outcome.backends:
        return words.answer
    _, lands, sees, hops = landing(words, sides)
    partly = "" if _served(sides[0].outcome) else f"{words.answer}: "
    length = f", hops {hops}" if with_hops else ""
    return f"{partly}{lands}, sees {sees}{length}{doubt(sides[0].outcome)}"


def _terms(text: str) -> list[str]:
    return text.replace("sees ", "").replace(" or ", ", ").split(", ")


def _shares(found: Difference) -> Iterator[str]:
    """A table for each port, family and holder; equal ones are told once."""
    yield ""
    if not found.shares_before and not found.shares_after:
        yield from wrapped(f"Behind {found.balancer}: the Service has no entry for it.", "")
        return
    tables = _tables(found)
    if _keep(tables):
        yield from wrapped(f"Behind {found.balancer}: every pod keeps its share.", "")
        return
    for rows, keys in list(tables.items())[:_TABLES]:
        yield from wrapped(f"Behind {found.balancer}, {few(keys, 'cases')}:", "")
        for lines in columns([("POD", "BEFORE", "AFTER"), *rows]):
            yield from lines
    if len(tables) > _TABLES:
        yield f"And {len(tables) - _TABLES} more cases, in -o json."


def _tables(found: Difference) -> _Tables:
    before = {_key(share): share for share in found.shares_before}
    after = {_key(share): share for share in found.shares_after}
    tables: _Tables = {}
    for key in dict.fromkeys([*before, *after]):
        rows = tuple(_rows(before.get(key), after.get(key)))
        tables.setdefault(rows, []).append(key)
    return tables


def _keep(tables: _Tables) -> bool:
    """Whether every pod keeps its share."""
    return all(was == will for rows in tables for _, was, will in rows)


def _key(share: Share) -> str:
    over = " over IPv6" if share.family == 6 else ""
    held = f" while {share.holder} has the address" if share.holder else ""
    return f"port {share.port.port}/{share.port.protocol}{over}{held}"


def _rows(before: Share | None, after: Share | None) -> Iterator[tuple[str, ...]]:
    """Pods with equal shares together, then what is lost."""
    pods: dict[tuple[str, str], list[str]] = {}
    sides = [{} if side is None else side.pods for side in (before, after)]
    for pod in dict.fromkeys([*sides[0], *sides[1]]):
        shares = _percent(sides[0].get(pod, 0)), _percent(sides[1].get(pod, 0))
        pods.setdefault(shares, []).append(pod)
    for shares, names in pods.items():
        each = " each" if len(names) > 1 else ""
        yield few(names, "pods", 2) + each, *shares
    lost = [{} if side is None else side.lost for side in (before, after)]
    for fate in Fate:
        if fate in lost[0] or fate in lost[1]:
            yield f"lost: {WORDS[fate]}", *(_percent(side.get(fate, 0)) for side in lost)
    unsent = [0.0 if side is None else side.unsent for side in (before, after)]
    if any(unsent):
        yield "not sent: no node for it", *map(_percent, unsent)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _admission(one: Admission) -> str:
    sides = []
    for word, side in ("before", one.before), ("after", one.after):
        verdicts = (f"{'admits' if good else 'does not admit'} {ip}" for ip, good in side.items())
        sides.append(f"{word} it {listed(verdicts)}")
    cut = " No policy admits the new address: the client is cut off." if one.cut_off else ""
    return (
        f"NetworkPolicy {one.policy} judges by ipBlock, and {few(one.pods, 'pods')} will see other"
        f" addresses: {'; '.join(sides)}.{cut} (A network plugin that filters before kube-proxy"
        " replaces the source may judge by the client's address either way.)"
    )
