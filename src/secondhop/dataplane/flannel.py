"""The rules flannel writes on a node, in its iptables layout (semantics §4.3)."""

from __future__ import annotations

from ..model.cluster import Cluster, Family, Network, Node
from .iptables.ruleset import Ruleset

_MARK = '-m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN'
_MULTICAST: dict[Family, str] = {4: "224.0.0.0/4", 6: "ff00::/8"}


def rules(cluster: Cluster, node: Node, family: Family = 4) -> Ruleset:
    """flannel's forward and masquerade chains; masquerading only where `--ip-masq` is on."""
    whole = _of(cluster.cni.pod_cidrs, family)
    mine = node.pod_cidr(family)
    if whole is None or mine is None:
        return {}
    forward = '-m comment --comment "flanneld forward" -j'
    found: dict[str, dict[str, tuple[str, ...]]] = {
        "filter": {
            "FORWARD": (f"{forward} FLANNEL-FWD",),
            "FLANNEL-FWD": (f"-s {whole} {forward} ACCEPT", f"-d {whole} {forward} ACCEPT"),
        }
    }
    if cluster.cni.masquerade:
        comment = '-m comment --comment "flanneld masq" -j'
        found["nat"] = {
            "POSTROUTING": (f"{comment} FLANNEL-POSTRTG",),
            "FLANNEL-POSTRTG": (
                _MARK,
                f"-s {mine} -d {whole} {comment} RETURN",
                f"-s {whole} -d {mine} {comment} RETURN",
                f"! -s {whole} -d {mine} {comment} RETURN",
                f"-s {whole} ! -d {_MULTICAST[family]} {comment} MASQUERADE --random-fully",
                f"! -s {whole} -d {whole} {comment} MASQUERADE --random-fully",
            ),
        }
    return found


def _of(networks: tuple[Network, ...], family: Family) -> Network | None:
    return next((n for n in networks if n.version == family), None)
