"""Rows of a prediction in words, and equal ones folded: a hundred nodes that answer alike make
one row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model.cluster import Address, Cluster, Service
from ..model.fate import Outcome
from ..model.flow import Destination, Source
from .layout import FEW, WORDS, few, listed

_TOGETHER = {
    "client, any pod, any node": "everyone",
    "client, pods elsewhere, other nodes": "everyone else",
}


class Names(Protocol):
    """Some names."""

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...


class Row(Protocol):
    """Flows that share a fate: each source by each via; outcome is the first source's."""

    @property
    def service(self) -> Service:
        """Whose entry it is."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Who sends."""

    @property
    def destination(self) -> Destination:
        """What is dialled."""

    @property
    def vias(self) -> tuple[str | None, ...]:
        """The nodes that the network may bring it to."""

    @property
    def outcome(self) -> Outcome:
        """What becomes of it."""

    @property
    def entries(self) -> Names:
        """The nodes through which it enters the cluster; none where each sender's own serves it.
        All but outcome and entries are those of the first."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a row says, in words that do not depend on the node it is about: rows with equal words
    are alike. door: the entry, whichever node it leads to."""

    service: str
    door: tuple[object, ...]
    senders: str
    answer: str
    lands: str
    sees: str
    hops: str


class Folder:
    """Puts the rows of one cluster in words, and rows with equal words together. alike: senders'
    nodes that stand for others, with all their names."""

    def __init__(
        self, cluster: Cluster, alike: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._alike = alike or {}
        unnamed = sum(len(names) - 1 for names in self._alike.values())
        self._size = len(cluster.nodes) - unnamed
        self._devices = dict(_devices(cluster))

    def fold(self, rows: Iterable[Row]) -> Iterator[tuple[Words, Sequence[Row]]]:
        """The rows by their words, both in the order in which they came."""
        folded: dict[Words, list[Row]] = {}
        for row in rows:
            folded.setdefault(self.words(row), []).append(row)
        yield from folded.items()

    def senders(self, alike: Sequence[Row]) -> str:
        """Who sends, in all these rows together."""
        if entry_node(alike[0]) is not None:
            return self._senders(alike[0])
        sources = [source for row in alike for source in row.sources]
        parts = [source.name for source in sources if source.node is None]
        for kind in ("pod", "node"):
            names = [str(source.node) for source in sources if source.kind == kind]
            if len(names) == self._size > 1:
                parts.append(f"any {kind}")
            elif names:
                parts.append(self._some(kind, names))
        return ", ".join(parts)

    def words(self, row: Row) -> Words:
        """What it says."""
        to, outcome, entry = row.destination, row.outcome, entry_node(row)
        home = ("that node", entry) if entry else ("its own", row.sources[0].node)
        return Words(
            str(row.service),
            (to.kind, to.address.version if to.node else to.address, to.port, to.protocol),
            self._senders(row),
            answer(outcome),
            lands(outcome, *home),
            self._sees(row),
            hops(outcome),
        )

    def _senders(self, row: Row) -> str:
        """Who sends, seen from the entry node, or from home."""
        entry = entry_node(row)
        parts = [source.name for source in row.sources if source.node is None]
        for kind, plural, there, others in (
            ("pod", "any pod", "pod there", "pods elsewhere"),
            ("node", "any node", "that node", "other nodes"),
        ):
            names = [str(source.node) for source in row.sources if source.kind == kind]
            if not names:
                continue
            if entry is None:
                parts.append(kind)
            elif names == [entry]:
                parts.append(there)
            elif len(names) == self._size:
                parts.append(plural)
            elif entry not in names and len(names) == self._size - 1:
                parts.append(others)
            else:
                parts.append(self._some(kind, names))
        told = ", ".join(parts)
        return _TOGETHER.get(told, told)

    def _some(self, kind: str, nodes: Sequence[str]) -> str:
        """Some of the pods or nodes that send: `pod of gz1`, `97 nodes`."""
        names = [name for node in nodes for name in self._alike.get(node, (node,))]
        if kind == "pod":
            return f"pod of {few(names, 'nodes')}"
        return few((f"node {name}" for name in names), "nodes")

    def device(self, ip: Address) -> str:
        """What an address that pods see is of, or else the address."""
        return self._devices.get(ip, str(ip))

    def _sees(self, row: Row) -> str:
        """The source addresses by what they are of."""
        if row.outcome.client_ip == "kept":
            return "the sender"
        own = row.sources[0].ip
        names = {
            "the sender" if b.source_ip == own else self.device(b.source_ip)
            for b in row.outcome.backends
        }
        return listed(sorted(names))


def _devices(cluster: Cluster) -> Iterable[tuple[Address, str]]:
    """The addresses that masquerading may show a pod, by what they are of."""
    for node in cluster.nodes:
        for cidr in node.pod_cidrs:
            yield cidr[1], "cni0"
            yield cidr[0], "flannel.1" if cidr.version == 4 else "flannel-v6.1"
        for interface in node.addresses:
            yield interface.ip, "its NIC"


def entry_node(row: Row) -> str | None:
    """The first node through which a row enters; None where each sender's own serves it."""
    return next(iter(row.entries), None)


def count(rows: Iterable[Row]) -> int:
    """How many entry nodes these rows have together."""
    return sum(len(row.entries) for row in rows)


def through(rows: Sequence[Row], noun: str = "nodes") -> str:
    """The entry nodes of rows: all of a few, or how many."""
    total = count(rows)
    if total > FEW:
        return f"{total} {noun}"
    return few((name for row in rows for name in row.entries), noun)


def entry(alike: Sequence[Row]) -> str:
    """The address and port that rows of one door dial, and through which node or nodes."""
    to = alike[0].destination
    port = f"{to.port}" if to.protocol == "TCP" else f"{to.port}/{to.protocol}"
    check = " (health check)" if to.kind == "healthCheckNodePort" else ""
    nodes = through(alike)
    if to.node is not None and count(alike) > 1:
        return f"port {port} of {nodes}{check}"
    address = f"[{to.address}]" if to.address.version == 6 else to.address
    if to.node is not None:
        return f"{nodes} {address}:{port}{check}"
    kind = "cluster IP " if to.kind == "clusterIP" else ""
    return f"{kind}{address}:{port}" + (f" by {nodes}" if count(alike) else "")


def answer(outcome: Outcome) -> str:
    """What the sender gets."""
    if outcome.http is not None:
        told = f"{outcome.http.status}, {outcome.http.local_endpoints} local"
    else:
        told = WORDS[outcome.fate]
    return told + doubt(outcome)


def doubt(outcome: Outcome) -> str:
    """What is added to a fate that other placements of the pods may change."""
    return ", possible" if outcome.certainty == "possible" else ""


def lands(outcome: Outcome, called: str = "", home: str | None = None) -> str:
    """The nodes that serve, with their shares; the node `home` goes by what it is called."""
    shares: dict[str, float] = {}
    for backend in outcome.backends:
        name = called if called and backend.node == home else backend.node or "outside"
        shares[name] = shares.get(name, 0.0) + backend.share
    if len(shares) > 2:
        return f"{len(shares)} nodes"
    if len(shares) == 1 and sum(shares.values()) > 0.999:
        return next(iter(shares))
    return listed(f"{name} {share:.0%}" for name, share in shares.items())


def sees(outcome: Outcome) -> str:
    """The source addresses that pods see."""
    return few((str(backend.source_ip) for backend in outcome.backends), "addresses") or "-"


def hops(outcome: Outcome) -> str:
    """Cluster nodes crossed, as far as backends differ."""
    return " or ".join(sorted({str(backend.hops) for backend in outcome.backends})) or "-"
