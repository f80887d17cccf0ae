"""Where one service port is caught: its elements in the sets and maps that all Services share."""

from __future__ import annotations

from ...model.cluster import Endpoint
from ..selected import Selected
from .match import comment, dialled
from .ruleset import Draft
from .service_chains import chain_name, has_firewall, internal_chain

REJECT = "reject-chain"


def write_portals(draft: Draft, selected: Selected) -> None:
    """The elements that catch the service port's destinations, and those that refuse them.

    Under policy Local with nobody here an external destination is in both kinds of map: what starts
    in the node or its pods is served, the rest stays untranslated and is dropped.
    """
    ext = chain_name("external", selected)
    draft.add_element("cluster-ips", str(selected.cluster_ip))
    inside = dialled(selected, selected.cluster_ip)
    if selected.inside:
        draft.add_element("service-ips", inside, f" : goto {internal_chain(selected)}")
    _refuse(draft, selected, "no-endpoint-services", inside, selected.inside)
    for ip in (*selected.external_ips, *selected.load_balancer_ips):
        key = dialled(selected, ip)
        if selected.anywhere:
            draft.add_element("service-ips", key, f" : goto {ext}")
        _refuse(draft, selected, "no-endpoint-services", key, selected.outside)
    for ip in selected.load_balancer_ips if has_firewall(selected) else ():
        verdict = f" : goto {chain_name('firewall', selected)}"
        draft.add_element("firewall-ips", dialled(selected, ip), verdict)
    if selected.port.node_port:
        key = f"{selected.protocol} . {selected.port.node_port}"
        if selected.anywhere:
            draft.add_element("service-nodeports", key, f" : goto {ext}")
        _refuse(draft, selected, "no-endpoint-nodeports", key, selected.outside)


def _refuse(
    draft: Draft, selected: Selected, name: str, key: str, chosen: tuple[Endpoint, ...]
) -> None:
    """A destination that nothing may serve here (semantics §2.3)."""
    if not selected.anywhere or not chosen:
        verdict = "drop" if selected.anywhere else f"goto {REJECT}"
        draft.add_element(name, key, f" {comment(selected)} : {verdict}")
