"""The rules kube-proxy writes on a node in nftables mode: its table, names and order.

A reading of semantics §2, §3 and §3.4 of its own: nothing here is shared with `predict`. Rules are
written in the form in which `nft list` prints them, so that a lab node reads like a production
node.
"""

from __future__ import annotations

from typing import Literal

from ...model.cluster import Cluster, Family, Node
from ..memory import Memory
from ..node_ports import LOOPBACK, answering_addresses
from ..selected import Selected
from ..setting import Setting, setting
from .match import MARK, comment, family_word, one_or_set
from .portals import REJECT, write_portals
from .ruleset import Chain, Draft, Set, Table, joined
from .service_chains import write_chains

_FIREWALL = "ct state new jump firewall-check"
_NODE_PORTS = "ct state new jump nodeport-endpoints-check"
_SERVICES = "ct state new jump service-endpoints-check"
_CLUSTER_IPS = "ct state new jump cluster-ips-check"


def _hook(place: str, *rules: str) -> Chain:
    return Chain(rules, f"type {place}; policy accept")


_CHAINS = {
    "filter-prerouting-pre-dnat": _hook("filter hook prerouting priority dstnat - 10", _FIREWALL),
    "filter-output-pre-dnat": _hook("filter hook output priority -110", _FIREWALL),
    "filter-input": _hook("filter hook input priority filter", _NODE_PORTS, _SERVICES),
    "filter-forward": _hook("filter hook forward priority filter", _SERVICES, _CLUSTER_IPS),
    "filter-output": _hook("filter hook output priority filter", _SERVICES, _CLUSTER_IPS),
    "nat-prerouting": _hook("nat hook prerouting priority dstnat", "jump services"),
    "nat-output": _hook("nat hook output priority -100", "jump services"),
    "nat-postrouting": _hook("nat hook postrouting priority srcnat", "jump masquerading"),
    REJECT: Chain(
        ("reject",), comment("helper for @no-endpoint-services / @no-endpoint-nodeports")
    ),
}


def rules(
    cluster: Cluster, node: Node, family: Family = 4, memory: Memory[Table] | None = None
) -> Table:
    """kube-proxy's whole table on this node, for one family. memory: of the table before this one,
    which makes it quick."""
    word = family_word(family)
    common = setting(cluster, node, family)
    draft = Draft(Table(word, _sets(family), _CHAINS))
    at_node = _node_port_test(draft, cluster, node, family)
    dialled = f"{word} daddr . meta l4proto . th dport vmap"
    on_port = "meta l4proto . th dport vmap"
    draft.add("firewall-check", f"{dialled} @firewall-ips")
    draft.add("service-endpoints-check", f"{dialled} @no-endpoint-services")
    draft.add("nodeport-endpoints-check", f"{at_node} {on_port} @no-endpoint-nodeports")
    draft.add("services", *_masquerade_strangers(common, word))
    draft.add("services", f"{dialled} @service-ips")
    local = "" if "@" in at_node else "fib daddr type local "
    draft.add("services", f"{local}{at_node} {on_port} @service-nodeports")
    draft.add("masquerading", *_masquerading(word))
    draft.add("cluster-ips-check", *_unserved(cluster, family))

    def write(selected: Selected) -> Table:
        part = Draft(Table(word, _sets(family), {}))
        write_portals(part, selected)
        write_chains(part, selected, common, node)
        return part.finished()

    parts = (memory or Memory()).parts(cluster, node, family, write)
    return joined([draft.finished(), *parts])


def _sets(family: Family) -> dict[str, Set]:
    """The sets and maps that all Services share."""
    ip = f"ipv{family}_addr"
    port = "inet_proto . inet_service"

    def empty(kind: Literal["set", "map"], what: str, says: str) -> Set:
        verdict = " : verdict" if kind == "map" else ""
        return Set(kind, f"type {what}{verdict}; {comment(says)}")

    unserved = "vmap to drop or reject packets to service"
    return {
        "hairpin-connections": empty("set", f"{ip} . {ip} . {port}", "service hairpin connections"),
        "cluster-ips": empty("set", ip, "Active ClusterIPs"),
        "no-endpoint-services": empty("map", f"{ip} . {port}", f"{unserved}s with no endpoints"),
        "no-endpoint-nodeports": empty("map", port, f"{unserved} nodeports with no endpoints"),
        "firewall-ips": empty(
            "map", f"{ip} . {port}", "destinations that are subject to LoadBalancerSourceRanges"
        ),
        "service-ips": empty(
            "map", f"{ip} . {port}", "ClusterIP, ExternalIP and LoadBalancer IP traffic"
        ),
        "service-nodeports": empty("map", port, "NodePort traffic"),
    }


def _node_port_test(draft: Draft, cluster: Cluster, node: Node, family: Family) -> str:
    """The match for the addresses that answer node ports (semantics §3.2); their set, if they are
    not all there are."""
    word = family_word(family)
    answering = answering_addresses(cluster, node, family)
    if answering is None:
        return f"{word} daddr != {LOOPBACK if family == 4 else '::1'}"
    name = "nodeport-ips"
    draft.add_set(name, f"type ipv{family}_addr; {comment('IPs that accept NodePort traffic')}")
    for ip in answering:
        draft.add_element(name, str(ip))
    return f"{word} daddr @{name}"


def _masquerade_strangers(common: Setting, word: str) -> list[str]:
    """Who dials a cluster IP, on any port, and must be masqueraded (semantics §4.1): everybody, or
    whoever is no pod; nobody without a detector."""
    if common.masquerade_all:
        return [f"{word} daddr @cluster-ips {MARK}"]
    if common.pods is None:
        return []
    says = comment("masquerade clusterIP traffic from outside cluster")
    return [f"{word} daddr @cluster-ips {word} saddr != {common.pods} {MARK} {says}"]


def _masquerading(word: str) -> list[str]:
    """The mark is taken off again; a pod that was given to itself is masqueraded without one."""
    key = f"{word} saddr . {word} daddr . meta l4proto . th dport"
    return [
        "meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000"
        " masquerade fully-random",
        f"ct status dnat {key} @hairpin-connections masquerade fully-random",
    ]


def _unserved(cluster: Cluster, family: Family) -> list[str]:
    """What dials a Service's range and was not translated (semantics §3.1 rows 3 and 4)."""
    word = family_word(family)
    says = comment("Reject traffic to invalid ports of ClusterIPs")
    found = [f"{word} daddr @cluster-ips reject {says}"]
    cidrs = [n for n in cluster.cni.service_cidrs if n.version == family]
    if cidrs:
        says = comment("Drop traffic to unallocated ClusterIPs")
        found.append(f"{word} daddr {one_or_set(cidrs)} drop {says}")
    return found
