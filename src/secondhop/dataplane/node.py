"""Everything that is written on a node: kube-proxy's chains first, then flannel's."""

from __future__ import annotations

from ..model.cluster import Cluster, Node
from . import flannel, iptables
from .ruleset import Ruleset


def rules(cluster: Cluster, node: Node) -> Ruleset:
    """One node's IPv4 ruleset in iptables mode."""
    merged: dict[str, dict[str, tuple[str, ...]]] = {}
    for part in (iptables.rules(cluster, node), flannel.rules(cluster, node)):
        for table, chains in part.items():
            into = merged.setdefault(table, {})
            for chain, lines in chains.items():
                into[chain] = (*into.get(chain, ()), *lines)
    return merged
