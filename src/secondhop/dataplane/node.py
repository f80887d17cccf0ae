"""Everything that is written on a node: kube-proxy's rules, then flannel's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model.cluster import Cluster, Family, Node
from . import flannel
from .iptables import layout as iptables
from .iptables.ruleset import Ruleset

if TYPE_CHECKING:
    from .memory import Memory
    from .nftables.ruleset import Table


class Rules(NamedTuple):
    """One node's rules of one family. flannel's are in iptables whichever mode kube-proxy is in;
    nftables: kube-proxy's table in nftables mode, else None."""

    iptables: Ruleset
    nftables: Table | None


def families(cluster: Cluster) -> list[Family]:
    """The families that have a proxy: of which some node has an address."""
    known = {address.version for node in cluster.nodes for address in node.addresses}
    every: tuple[Family, ...] = (4, 6)
    return [family for family in every if family in known]


def rules(
    cluster: Cluster,
    node: Node,
    *,
    counters: bool,
    family: Family = 4,
    memory: Memory[Table] | None = None,
) -> Rules:
    """What the node's kernel should hold. counters: as `iptables.layout.rules` takes them; memory:
    as `nftables.layout.rules` does."""
    overlay = flannel.rules(cluster, node, family)
    if cluster.proxy.mode == "nftables":
        from .nftables import layout as nftables  # iptables mode starts without it

        return Rules(overlay, nftables.rules(cluster, node, family, memory))
    proxy = iptables.rules(cluster, node, counters=counters, family=family)
    return Rules(_joined(proxy, overlay), None)


def _joined(*parts: Ruleset) -> Ruleset:
    """Rulesets as one: of a chain that several write, the rules in their order."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for part in parts:
        for table, chains in part.items():
            into = found.setdefault(table, {})
            for chain, lines in chains.items():
                into[chain] = (*into.get(chain, ()), *lines)
    return found
