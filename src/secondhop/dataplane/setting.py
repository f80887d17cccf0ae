"""What of a node and of kube-proxy's configuration bears on every service port's chains."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.cluster import Address, Cluster, Family, Network, Node


@dataclass(frozen=True, slots=True)
class Setting:
    """pods: sources that count as pods; None without a detector. node_ip: the node's InternalIP of
    the family, for which source ranges make an exception."""

    pods: Network | None
    masquerade_all: bool
    node_ip: Address | None


def setting(cluster: Cluster, node: Node, family: Family) -> Setting:
    """The setting of one node's proxy of one family."""
    pods = next((n for n in cluster.proxy.detect_local if n.version == family), None)
    return Setting(pods, cluster.proxy.masquerade_all, node.address(family))
