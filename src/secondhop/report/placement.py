"""What is said of pods that nobody has placed: what holds in every placement that the manifests
allow, what only in some, and what would make it certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from ..model.cluster import Service
from ..model.placement import Outlook
from .fold import Row
from .layout import few, wrapped

Outlooks: TypeAlias = Callable[[Service], Outlook | None]
"""The outlook of a Service; None where all its pods have their places."""


def all_placed(_: Service) -> None:
    """The Outlooks of input without doubt."""


ONE_OF_MANY = "one of the placements that the manifests allow"


def doubtful(rows: Sequence[Row]) -> bool:
    """Whether some of these fates are only possible."""
    return any(row.outcome.certainty == "possible" for row in rows)


def verdict(service: Service, outlook: Outlook) -> str:
    """A sentence on a Service whose fate hangs on where its pods are placed."""
    if outlook.anywhere != "certain":
        return f"{service}: if no node takes its pods, which is possible, every entry refuses"
    policy = service.external_traffic_policy
    if policy == "Cluster":
        return (
            f"{service}: Cluster serves through every node, wherever its pods are placed, and hides"
            " the client's address but from a hostNetwork pod of the entry node"
        )
    return (
        f"{service}: {policy} drops what enters through a node without a pod: {dark(outlook)};"
        " elsewhere it keeps the client's address"
    )


def dark(outlook: Outlook) -> str:
    """For which nodes, or with how many, it is certain, possible or impossible to have no pod."""
    return _with_nodes(outlook) if outlook.nodes_known else _without_nodes(outlook)


def _with_nodes(outlook: Outlook) -> str:
    parts = []
    if outlook.never:
        parts.append(f"certain for {few(outlook.never, 'nodes')}")
    if outlook.maybe:
        one = ", certain for some of them" if outlook.empty == "certain" and not parts else ""
        parts.append(f"possible for {few(outlook.maybe, 'nodes')}{one}")
    if outlook.always:
        parts.append(f"impossible for {few(outlook.always, 'nodes')}")
    return ", ".join(parts)


def _without_nodes(outlook: Outlook) -> str:
    even, short = outlook.even_up_to or 0, outlook.short_above
    if short is not None and even >= short:
        return f"impossible with up to {_nodes(even)}, certain with more"
    first = f"possible with {even + 1} nodes or more" if even else "possible with any nodes"
    return first + (f", certain with more than {_nodes(short)}" if short is not None else "")


def _nodes(count: int) -> str:
    return f"{count} node" + ("" if count == 1 else "s")


def remedies(outlook: Outlook) -> Iterator[str]:
    """What would make it certain that no node drops, and who finds no place; in lines."""
    if outlook.remedy:
        yield from wrapped(f"What makes it certain that no node drops: {outlook.remedy}.", "")
    if outlook.wanted is not None and outlook.least < outlook.wanted and outlook.nodes_known:
        pending = outlook.wanted - outlook.most
        told = f"{pending} of {outlook.wanted} pods fit nowhere"
        if outlook.least < outlook.most:
            told = f"As few as {outlook.least} of {outlook.wanted} pods may find a node"
        yield from wrapped(f"{told}.", "")


def example(outlook: Outlook) -> str:
    """The line above a table over one of the placements."""
    where = "" if outlook.nodes_known else ", on nodes that stand in for yours"
    return f"For example, in {ONE_OF_MANY}{where}:"
