"""The rules kube-proxy writes on a node in iptables mode: its chains, names and order.

A reading of semantics §2, §3 and §3.4 of its own: nothing here is shared with `predict`. Rules are
written in the form in which iptables-save prints them, so that a lab node reads like a production
node.
"""

from __future__ import annotations

from ...model.cluster import Cluster, Family, Node
from ..node_ports import LOOPBACK, answering_addresses, localhost_node_ports
from ..selected import selected_ports
from ..setting import setting
from .match import comment, host
from .portals import write_portals
from .ruleset import Draft, Ruleset
from .service_chains import MARK_MASQUERADE, write_chains

INVALID_COUNTER = "ct_state_invalid_dropped_pkts"
LOCALHOST_COUNTER = "localhost_nps_accepted_pkts"

_MARK = "0x4000/0x4000"
_NEW = "-m conntrack --ctstate NEW"
_PORTALS = f"{comment('kubernetes service portals')} -j KUBE-SERVICES"
_EXTERNAL = (
    f"{_NEW} {comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES"
)
_LB_FIREWALL = f"{_NEW} {comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL"
_FORWARDING = comment("kubernetes forwarding rules")
_LAYOUT: Ruleset = {
    "mangle": {"KUBE-PROXY-CANARY": ()},
    "filter": {
        "INPUT": (
            "-j KUBE-FIREWALL",
            _LB_FIREWALL,
            f"{comment('kubernetes health check service ports')} -j KUBE-NODEPORTS",
            _EXTERNAL,
        ),
        "FORWARD": (
            _LB_FIREWALL,
            f"{_FORWARDING} -j KUBE-FORWARD",
            f"{_NEW} {_PORTALS}",
            _EXTERNAL,
        ),
        "OUTPUT": ("-j KUBE-FIREWALL", _LB_FIREWALL, f"{_NEW} {_PORTALS}"),
        "KUBE-EXTERNAL-SERVICES": (),
        "KUBE-FIREWALL": (),
        "KUBE-FORWARD": (),
        "KUBE-NODEPORTS": (),
        "KUBE-PROXY-CANARY": (),
        "KUBE-PROXY-FIREWALL": (),
        "KUBE-SERVICES": (),
    },
    "nat": {
        "PREROUTING": (_PORTALS,),
        "OUTPUT": (_PORTALS,),
        "POSTROUTING": (f"{comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING",),
        MARK_MASQUERADE: (f"-j MARK --set-xmark {_MARK}",),
        "KUBE-NODEPORTS": (),
        "KUBE-POSTROUTING": (
            f"-m mark ! --mark {_MARK} -j RETURN",
            "-j MARK --set-xmark 0x4000/0x0",
            f"{comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully",
        ),
        "KUBE-PROXY-CANARY": (),
        "KUBE-SERVICES": (),
    },
}
_BLOCK_LOCALNET = (
    f"! -s {LOOPBACK} -d {LOOPBACK} {comment('block incoming localnet connections')}"
    " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
)


def rules(cluster: Cluster, node: Node, *, counters: bool, family: Family = 4) -> Ruleset:
    """All of kube-proxy's chains on this node, for one family.

    counters: the kernel has the two nfacct objects by which kube-proxy counts; on one without
    nfacct it leaves the counting rules out.
    """
    draft = Draft(_LAYOUT)
    localhost = family == 4 and localhost_node_ports(cluster.proxy, node)
    if localhost:
        draft.add("filter", "KUBE-FIREWALL", _BLOCK_LOCALNET)
    draft.add("filter", "KUBE-FORWARD", *_forwarding(counters))
    common = setting(cluster, node, family)
    counter = _counted(LOCALHOST_COUNTER) if counters and localhost else ""
    for selected in selected_ports(cluster, node, family):
        write_portals(draft, selected, counter)
        write_chains(draft, selected, common)
    draft.add("nat", "KUBE-SERVICES", *_node_port_jumps(cluster, node, family))
    return draft.finished()


def _counted(counter: str) -> str:
    return f"-m nfacct --nfacct-name {counter}"


def _forwarding(counters: bool) -> tuple[str, ...]:
    """KUBE-FORWARD (semantics §3.1 rows 19 and 20)."""
    counted = f" {_counted(INVALID_COUNTER)}" if counters else ""
    established = comment("kubernetes forwarding conntrack rule")
    return (
        f"-m conntrack --ctstate INVALID{counted} -j DROP",
        f"{_FORWARDING} -m mark --mark {_MARK} -j ACCEPT",
        f"{established} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )


def _node_port_jumps(cluster: Cluster, node: Node, family: Family) -> list[str]:
    """The last rules of KUBE-SERVICES: to the node ports, for the addresses that answer them."""
    last = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    answering = answering_addresses(cluster, node, family)
    if answering is not None:
        return [f"-d {host(ip)} {comment(last)} -j KUBE-NODEPORTS" for ip in answering]
    but = "" if localhost_node_ports(cluster.proxy, node) else f"! -d {LOOPBACK} "
    if family == 6:
        but = "! -d ::1/128 "
    return [f"{but}{comment(last)} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"]
