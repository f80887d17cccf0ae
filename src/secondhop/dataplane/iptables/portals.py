"""Where one service port is caught: the rules for it in the chains that all Services share."""

from __future__ import annotations

from ...model.cluster import Address, Endpoint, Family
from ..selected import Selected
from .match import comment, dialled
from .ruleset import Draft
from .service_chains import chain_name, has_firewall, internal_chain

_REJECT: dict[Family, str] = {
    4: "REJECT --reject-with icmp-port-unreachable",
    6: "REJECT --reject-with icmp6-port-unreachable",
}


def write_portals(draft: Draft, selected: Selected, localhost_counter: str) -> None:
    """The rules that catch the service port's destinations, and those that refuse them.

    localhost_counter: the match that counts use of localhost node ports; empty without.
    """
    _cluster_ip(draft, selected)
    ext = chain_name("EXT", selected)
    for ip in selected.external_ips:
        _external_address(draft, selected, ip, "external IP", ext)
    for ip in selected.load_balancer_ips:
        _load_balancer_ip(draft, selected, ip)
    if selected.port.node_port:
        _node_port(draft, selected, localhost_counter)
    if selected.health_check_port:
        said = comment(f"{selected} health check node port")
        match = f"-p tcp {said} -m tcp --dport {selected.health_check_port}"
        draft.add("filter", "KUBE-NODEPORTS", f"{match} -j ACCEPT")


def _refusal(selected: Selected, chosen: tuple[Endpoint, ...]) -> tuple[str, str] | None:
    """Comment and target for a destination that nothing may serve here (semantics §2.3)."""
    if not selected.anywhere:
        return f"{selected} has no endpoints", _REJECT[selected.family]
    if not chosen:
        return f"{selected} has no local endpoints", "DROP"
    return None


def _cluster_ip(draft: Draft, selected: Selected) -> None:
    ip = selected.cluster_ip
    if refusal := _refusal(selected, selected.inside):
        said, target = refusal
        draft.add("filter", "KUBE-SERVICES", f"{dialled(selected, ip, said)} -j {target}")
        return
    match = dialled(selected, ip, f"{selected} cluster IP")
    draft.add("nat", "KUBE-SERVICES", f"{match} -j {internal_chain(selected)}")


def _external_address(draft: Draft, selected: Selected, ip: Address, kind: str, chain: str) -> None:
    """An address of the Service's own. Under policy Local with nobody here both rules exist: what
    starts in the node or its pods is served, the rest stays untranslated and is dropped."""
    if selected.anywhere:
        match = dialled(selected, ip, f"{selected} {kind}")
        draft.add("nat", "KUBE-SERVICES", f"{match} -j {chain}")
    if refusal := _refusal(selected, selected.outside):
        said, target = refusal
        rule = f"{dialled(selected, ip, said)} -j {target}"
        draft.add("filter", "KUBE-EXTERNAL-SERVICES", rule)


def _load_balancer_ip(draft: Draft, selected: Selected, ip: Address) -> None:
    """Source ranges send it through the firewall chain; what that lets fall is dropped."""
    guarded = has_firewall(selected)
    chain = chain_name("FW" if guarded else "EXT", selected)
    _external_address(draft, selected, ip, "loadbalancer IP", chain)
    if guarded:
        match = dialled(selected, ip, f"{selected} traffic not accepted by {chain}")
        draft.add("filter", "KUBE-PROXY-FIREWALL", f"{match} -j DROP")


def _node_port(draft: Draft, selected: Selected, localhost_counter: str) -> None:
    """The node port. It is refused on every local address, whichever answer (§3.1 row 14)."""
    protocol, number = selected.protocol, selected.port.node_port
    if selected.anywhere:
        ext = chain_name("EXT", selected)
        match = f"-p {protocol} {comment(str(selected))} -m {protocol} --dport {number}"
        if localhost_counter:
            counted = f"-d 127.0.0.0/8 {match} {localhost_counter} -j {ext}"
            draft.add("nat", "KUBE-NODEPORTS", counted)
        draft.add("nat", "KUBE-NODEPORTS", f"{match} -j {ext}")
    if refusal := _refusal(selected, selected.outside):
        said, target = refusal
        match = f"-p {protocol} {comment(said)} -m addrtype --dst-type LOCAL -m {protocol}"
        draft.add("filter", "KUBE-EXTERNAL-SERVICES", f"{match} --dport {number} -j {target}")
