"""Everything that is written on a node: kube-proxy's chains first, then flannel's."""

from __future__ import annotations

from ..model.cluster import Cluster, Family, Node
from . import flannel, iptables
from .ruleset import Ruleset


def rules(cluster: Cluster, node: Node, *, counters: bool, family: Family = 4) -> Ruleset:
    """One node's ruleset of one family in iptables mode; counters: whether the kernel has
    kube-proxy's."""
    merged: dict[str, dict[str, tuple[str, ...]]] = {}
    for part in (
        iptables.rules(cluster, node, counters=counters, family=family),
        flannel.rules(cluster, node, family),
    ):
        for table, chains in part.items():
            into = merged.setdefault(table, {})
            for chain, lines in chains.items():
                into[chain] = (*into.get(chain, ()), *lines)
    return merged
