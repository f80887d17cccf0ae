"""Predictions for a terminal: the verdict first, then rows with their reasons, then what they
were assumed from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..model.cluster import Cluster, Service
from ..model.fate import Outcome
from .fold import Folder, Row, entry_node, lands
from .layout import few, listed, table, wrapped
from .reach import loses, no_door, verdict

_FOLD_ABOVE = 3


def overview(cluster: Cluster, services: Sequence[Service], rows: Iterable[Row]) -> Iterator[str]:
    """Where the client lands through every entry. rows: the client's, from outside."""
    of: dict[Service, list[Row]] = {service: [] for service in services}
    for row in rows:
        of[row.service].append(row)
    if len(services) > 1:
        yield _count(of)
    folder = Folder(cluster)
    for service, entries in of.items():
        if entries:
            yield from () if len(services) == 1 else ("",)
            yield from wrapped(verdict(service, entries), "")
            yield ""
            yield from _entries(folder, entries)
    closed = [service for service, entries in of.items() if not entries]
    if closed:
        yield from () if len(services) == 1 else ("",)
        for service in closed:
            yield f"{service}: {no_door(service)}"


def basis(cluster: Cluster, notes: Sequence[str], skipped: Mapping[str, int]) -> Iterator[str]:
    """What the answer was assumed from."""
    client = listed(str(interface.ip) for interface in cluster.client)
    yield from wrapped(
        f"Predicted, not tried: kube-proxy in {cluster.proxy.mode} mode on"
        f" {few((node.name for node in cluster.nodes), 'nodes')}, pod network"
        f" {cluster.cni.backend}, client {client}.",
        "",
    )
    for note in notes:
        yield from wrapped(note, "  ", "    ")
    if skipped:
        kinds = listed(f"{count} {kind}" for kind, count in sorted(skipped.items()))
        yield from wrapped(f"Skipped, for they say nothing about traffic: {kinds}.", "")


def _count(of: Mapping[Service, Sequence[Row]]) -> str:
    """The verdict on several Services."""
    losing = sum(loses(rows) for rows in of.values())
    open_ones = sum(bool(rows) for rows in of.values())
    return (
        f"{len(of)} Services: {open_ones - losing} serve the client through every entry,"
        f" {losing} lose it somewhere, {len(of) - open_ones} have no way in from outside."
    )


def _entries(folder: Folder, rows: Sequence[Row]) -> Iterator[str]:
    """A row for each entry and its reason; many equal ones are one row, with a reason for all."""
    cells = [("THROUGH", "ANSWER", "LANDS ON", "POD SEES", "HOPS")]
    reasons = [""]
    for words, alike in folder.fold(rows).items():
        if len(alike) > _FOLD_ABOVE:
            nodes = f"{len(alike)} nodes, port {alike[0].destination.port}"
            cells.append((nodes, words.answer, words.lands, words.sees, words.hops))
            reasons.append(f"like {entry_node(alike[0])}: {alike[0].outcome.reason}")
            continue
        for row in alike:
            cells.append((_through(row), words.answer, *_landing(row.outcome)))
            reasons.append(row.outcome.reason)
    yield from table(cells, reasons)


def _landing(outcome: Outcome) -> tuple[str, str, str]:
    return (
        lands(outcome),
        listed(str(b.source_ip) for b in outcome.backends),
        listed(str(b.hops) for b in outcome.backends),
    )


def _through(row: Row) -> str:
    to = row.destination
    protocol = "" if to.protocol == "TCP" else f"/{to.protocol}"
    if to.node is None:
        return f"{to}{protocol} by {entry_node(row)}"
    check = " (health check)" if to.kind == "healthCheckNodePort" else ""
    return f"{to.node} {to}{protocol}{check}"
