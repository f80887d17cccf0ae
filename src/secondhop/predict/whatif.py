"""What an update of a Service changes: two tables of `explain --all`, flow by flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from ..model.cluster import Cluster, Service
from ..model.difference import Change, Difference, fate_of
from ..model.fate import Fate, Outcome
from ..model.flow import Destination, Source
from ..model.placement import Outlook
from ..model.policy import NetworkPolicy
from .admission import admissions
from .advice import advice
from .balancers import BALANCERS
from .matrix import Matrix, Row
from .path import Paths
from .placement import Placements
from .sample import sample
from .share import shares

_Key: TypeAlias = tuple[str, str, str | None]  # of a flow to a destination: kind, name, via


class Situation(NamedTuple):
    """A Service in its cluster."""

    cluster: Cluster
    service: Service


class _Cell(NamedTuple):
    """One flow of a table, in its row."""

    row: Row
    source: Source
    via: str | None


def difference(
    before: Situation,
    after: Situation,
    settings: Sequence[str],
    balancer: str,
    policies: Sequence[NetworkPolicy] = (),
) -> Difference:
    """All that changes. settings: what was set, as told in the report. balancer: one of
    BALANCERS. policies: the input's; they are compared, not applied."""
    found = tuple(sorted(changes(before, after), key=_badness))
    outlooks = [Placements(cluster).of_service(service) for cluster, service in (before, after)]
    told = Difference(
        tuple(settings),
        before.cluster,
        before.service,
        after.service,
        found,
        balancer,
        shares(*before, BALANCERS[balancer]),
        shares(*after, BALANCERS[balancer]),
        tuple(admissions(before.cluster, found, policies)),
        outlook=_gaps(before.service, after.service, outlooks[1]),
        unplaced=any(outlook is not None for outlook in outlooks),
    )
    return advice(told)


def _gaps(before: Service, after: Service, outlook: Outlook | None) -> Outlook | None:
    """Over all placements, where Local is new and may leave a node without a pod."""
    if (before.external_traffic_policy, after.external_traffic_policy) != ("Cluster", "Local"):
        return None
    return None if outlook is None or outlook.empty == "impossible" else outlook


def changes(before: Situation, after: Situation) -> Iterator[Change]:
    """The flows that fare differently, in groups that fare alike. Reasons are not compared. Of many
    nodes that nothing tells apart, one stands for the others."""
    views = [(Paths(cluster), service) for cluster, service in (before, after)]
    nodes, alike = sample(views)
    old, new = (Matrix(paths, nodes) for paths, _ in views)
    tables = _table(old, before.service), _table(new, after.service)
    for destination in dict.fromkeys([*tables[0], *tables[1]]):
        ours, theirs = (table.get(destination, {}) for table in tables)
        groups: dict[tuple[int, int], list[tuple[_Cell | None, _Cell | None]]] = {}
        for key in dict.fromkeys([*ours, *theirs]):
            pair = ours.get(key), theirs.get(key)
            rows = (id(pair[0].row) if pair[0] else 0, id(pair[1].row) if pair[1] else 0)
            groups.setdefault(rows, []).append(pair)
        for group in groups.values():
            first, second = group[0]
            was, will = _exact(old, first), _exact(new, second)
            if _facts(was) != _facts(will):
                change = _change(before.service, destination, group, was, will)
                yield replace(change, alike=alike)


def _table(matrix: Matrix, service: Service) -> dict[Destination, dict[_Key, _Cell]]:
    found: dict[Destination, dict[_Key, _Cell]] = {}
    for row in matrix.rows([service]):
        cells = found.setdefault(row.destination, {})
        for source in row.sources:
            for via in row.vias:
                cells[source.kind, source.name, via] = _Cell(row, source, via)
    return found


def _exact(matrix: Matrix, cell: _Cell | None) -> Outcome | None:
    return None if cell is None else matrix.exact(*cell)


def _facts(outcome: Outcome | None) -> object:
    """What a sender, a pod or a load balancer can tell."""
    if outcome is None:
        return None
    return outcome.fate, outcome.client_ip, outcome.backends, outcome.http


def _change(
    service: Service,
    destination: Destination,
    group: Sequence[tuple[_Cell | None, _Cell | None]],
    before: Outcome | None,
    after: Outcome | None,
) -> Change:
    cells = [cell for pair in group if (cell := pair[0] or pair[1]) is not None]
    sources = {cell.source: None for cell in cells}
    vias = {cell.via: None for cell in cells}
    return Change(service, tuple(sources), destination, tuple(vias), before, after)


_AFTER = (Fate.DROPPED, Fate.LOOP, Fate.UNROUTABLE, Fate.MIXED, Fate.REJECTED, Fate.CLOSED, None)
"""What a connection that was served can turn into, the worst first: silence costs most time."""


def _badness(change: Change) -> tuple[int, bool]:
    """Worst first: losses, then what is served otherwise, then what is won; the client first."""
    before, after = fate_of(change.before), fate_of(change.after)
    if before is Fate.DELIVERED and after is not Fate.DELIVERED:
        rank = _AFTER.index(after)
    elif after is not Fate.DELIVERED:
        rank = len(_AFTER)
    else:
        rank = len(_AFTER) + (1 if before is Fate.DELIVERED else 2)
    return rank, not change.from_outside
