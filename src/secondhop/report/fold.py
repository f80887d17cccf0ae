"""Rows of a prediction in words, and equal ones folded: a hundred nodes that answer alike are one
row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model.cluster import Address, Cluster, Service
from ..model.fate import Outcome
from ..model.flow import Destination, Source
from .layout import WORDS, few, listed

KINDS = {
    "nodePort": "node port",
    "loadBalancerIP": "load balancer",
    "externalIP": "external IP",
    "clusterIP": "cluster IP",
    "healthCheckNodePort": "health check",
    "address": "address",
}


class Row(Protocol):
    """Flows that share a fate: each source by each via; outcome is the first source's."""

    @property
    def service(self) -> Service: ...
    @property
    def sources(self) -> tuple[Source, ...]: ...
    @property
    def destination(self) -> Destination: ...
    @property
    def vias(self) -> tuple[str | None, ...]: ...
    @property
    def outcome(self) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Words:
    """A row in words that do not depend on which node of several equal ones it is about."""

    service: str
    to: tuple[object, ...]
    senders: str
    answer: str
    lands: str
    sees: str
    hops: str


class Folder:
    """Puts rows of one cluster in words, and rows with equal words together."""

    def __init__(self, cluster: Cluster) -> None:
        self._count = len(cluster.nodes)
        self._devices = dict(_devices(cluster))

    def fold(self, rows: Iterable[Row]) -> Mapping[Words, Sequence[Row]]:
        """The rows by their words, both in the order in which they came."""
        folded: dict[Words, list[Row]] = {}
        for row in rows:
            folded.setdefault(self.words(row), []).append(row)
        return folded

    def words(self, row: Row) -> Words:
        """What a row says, its entry node called `that node`."""
        to, outcome, entry = row.destination, row.outcome, entry_node(row)
        address = None if to.node else to.address
        return Words(
            str(row.service),
            (to.kind, address, to.port, to.protocol, to.address.version),
            self._senders(row.sources, entry),
            answer(outcome),
            lands(outcome, entry),
            self._sees(outcome),
            listed(str(b.hops) for b in outcome.backends),
        )

    def _senders(self, sources: Sequence[Source], entry: str | None) -> str:
        parts = [source.name for source in sources if source.node is None]
        for kind in ("pod", "node"):
            names = [str(s.node) for s in sources if s.kind == kind]
            if names:
                parts.append(self._group(kind, names, entry))
        return ", ".join(parts)

    def _group(self, kind: str, names: Sequence[str], entry: str | None) -> str:
        """Senders of one kind: all, those of the entry node, or all the others."""
        if len(names) == self._count > 1:
            return f"any {kind}"
        if entry is None:
            return f"{kind} at home"
        if names == [entry]:
            return "that node" if kind == "node" else "pod there"
        if entry not in names and len(names) == self._count - 1:
            return f"other {kind}s" if kind == "node" else "pods elsewhere"
        return f"{kind} of {few(names, 'nodes')}"

    def _sees(self, outcome: Outcome) -> str:
        if outcome.client_ip == "kept":
            return "the sender"
        devices = (self._devices.get(b.source_ip, str(b.source_ip)) for b in outcome.backends)
        return listed(sorted(set(devices)))


def _devices(cluster: Cluster) -> Iterable[tuple[Address, str]]:
    """The addresses that masquerading may show a pod, by what they are of."""
    for node in cluster.nodes:
        for family, overlay in ((4, "flannel.1"), (6, "flannel-v6.1")):
            if ip := node.bridge_address(family):
                yield ip, "cni0"
            if ip := node.overlay_address(family):
                yield ip, overlay
        for interface in node.addresses:
            yield interface.ip, "NIC"


def entry_node(row: Row) -> str | None:
    """The node through which a row enters the cluster; None when each sender's own serves it."""
    return row.destination.node or (row.vias[0] if len(row.vias) == 1 else None)


def answer(outcome: Outcome) -> str:
    """What the sender gets."""
    if outcome.http is not None:
        return f"HTTP {outcome.http.status}, {outcome.http.local_endpoints} local"
    return WORDS[outcome.fate]


def lands(outcome: Outcome, entry: str | None = None) -> str:
    """The nodes that serve, with their shares; `entry` is called `that node`."""
    shares: dict[str, float] = {}
    for backend in outcome.backends:
        name = "that node" if entry and backend.node == entry else backend.node or "outside"
        shares[name] = shares.get(name, 0.0) + backend.share
    if len(shares) > 2:
        return f"{len(shares)} nodes"
    if len(shares) == 1 and sum(shares.values()) > 0.999:
        return next(iter(shares))
    return listed(f"{name} {share:.0%}" for name, share in shares.items())
