"""Everything that is written on a node: kube-proxy's chains first, then flannel's."""

from __future__ import annotations

from ..model.cluster import Cluster, Node
from . import flannel, iptables
from .ruleset import Ruleset


def rules(cluster: Cluster, node: Node, *, counters: bool) -> Ruleset:
    """One node's IPv4 ruleset in iptables mode; counters: whether the kernel has kube-proxy's."""
    merged: dict[str, dict[str, tuple[str, ...]]] = {}
    for part in (iptables.rules(cluster, node, counters=counters), flannel.rules(cluster, node)):
        for table, chains in part.items():
            into = merged.setdefault(table, {})
            for chain, lines in chains.items():
                into[chain] = (*into.get(chain, ()), *lines)
    return merged
