"""What every text report shares: the width, words for fates, columns and wrapped sentences."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from ..model.cluster import Cluster, Policy
from ..model.fate import Fate
from ..model.inference import Inference
from ..model.version import KubeVersion

WIDTH = 100
_NARROWEST = 60
FEW = 3
"""Names that are told; of more only the number is."""
_GAP = 2
WORDS = {
    Fate.DELIVERED: "delivered",
    Fate.DROPPED: "timeout (dropped)",
    Fate.REJECTED: "refused (rejected)",
    Fate.CLOSED: "refused (RST)",
    Fate.UNROUTABLE: "unreachable",
    Fate.LOOP: "TTL exceeded",
    Fate.MIXED: "mixed",
}


def columns(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The lines of each row, in columns as wide as their widest cell; where they would not fit in
    WIDTH, the widest columns give way and wrap."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + _GAP * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    for row in rows:
        cells = [
            textwrap.wrap(cell, width, break_on_hyphens=False) if len(cell) > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        ]
        yield [
            (" " * _GAP).join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()
            for line in zip_longest(*cells, fillvalue="")
        ]


def table(rows: Sequence[Sequence[str]], reasons: Sequence[str]) -> list[str]:
    """Columns, and under each row its reason, indented."""
    found = []
    for lines, reason in zip(columns(rows), reasons, strict=True):
        found += [*lines, *wrapped(reason)]
    return found


def wrapped(text: str, indent: str = "  ", hanging: str | None = None) -> list[str]:
    """Lines of at most WIDTH, or of a narrower terminal; hanging: the indent from the second on, if
    it is another."""
    later = indent if hanging is None else hanging
    return textwrap.wrap(
        text, _width(), initial_indent=indent, subsequent_indent=later, break_on_hyphens=False
    )


def _width() -> int:
    """Columns for sentences. Tables keep theirs: a broken address cannot be copied."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(_NARROWEST, min(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns))


def of_version(version: KubeVersion) -> str:
    """The Kubernetes release whose rules a verdict is by, as every verdict ends."""
    return f"(k8s {version})"


def listed(items: Iterable[str]) -> str:
    """Each once, in their order; a dash for none."""
    return ", ".join(dict.fromkeys(items)) or "-"


def few(names: Iterable[str], noun: str, most: int = FEW) -> str:
    """All of a few names, or how many: `gz1, xjp1`, `12 nodes`."""
    told = list(dict.fromkeys(names))
    return ", ".join(told) if len(told) <= most else f"{len(told)} {noun}"


def help_for(policy: Policy, fates: Collection[Fate]) -> str:
    """What would help a Service with this policy whose outside traffic met these fates; empty if
    nothing is lost to a rule."""
    if policy == "Local" and Fate.DROPPED in fates:
        return (
            "What helps: a ready pod on every node (a DaemonSet, or more replicas, spread);"
            " a balancer that asks the health check and leaves the other nodes out;"
            " or Cluster, at the price of the client's address."
        )
    if Fate.REJECTED in fates:
        return (
            "What helps: one ready pod; the Service's selector and target port, and the pods'"
            " readiness, decide whether there is one."
        )
    return ""


def with_doubts(lines: Iterable[str], inferences: Iterable[Inference]) -> Iterator[str]:
    """A report whose verdict, which ends with the first empty line, also says what of the cluster
    is not known or not modelled."""
    doubts = [one for one in inferences if one.doubt]
    for line in lines:
        if doubts and not line:
            yield from _told(doubts)
            doubts = []
        yield line
    yield from _told(doubts)


def _told(doubts: Iterable[Inference]) -> Iterator[str]:
    for one in doubts:
        yield from wrapped(f"In doubt, {one.what} {one.value}: {one.doubt}.", "")


def basis(
    how: str, cluster: Cluster, notes: Sequence[str], skipped: Mapping[str, int]
) -> Iterator[str]:
    """What an answer rests on: how it was found, in which world, and what was assumed."""
    client = listed(str(interface.ip) for interface in cluster.client)
    nodes = few((node.name for node in cluster.nodes), "nodes")
    yield from wrapped(
        f"{how}: kube-proxy in {cluster.proxy.mode} mode on {nodes};"
        f" pod network {cluster.cni.backend}; client {client}.",
        "",
    )
    for note in notes:
        yield from wrapped(note, "  ", "    ")
    yield from unread(skipped)


def unread(skipped: Mapping[str, int]) -> Iterator[str]:
    """The kinds of objects that say nothing about traffic, if there are any."""
    if skipped:
        kinds = listed(f"{count} {kind}" for kind, count in sorted(skipped.items()))
        yield from wrapped(f"Skipped, not looked at: {kinds}.", "")
