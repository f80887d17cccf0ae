"""The chains of one service port in table nat: KUBE-EXT, KUBE-FW, KUBE-SVC, KUBE-SVL, KUBE-SEP."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from ...model.cluster import Endpoint
from ..selected import Selected
from ..setting import Setting
from .match import comment, dialled, host
from .ruleset import Draft

MARK_MASQUERADE = "KUBE-MARK-MASQ"


def chain_name(prefix: str, selected: Selected, endpoint: str = "") -> str:
    """kube-proxy's chain name: 16 characters of a hash over names, never over content."""
    text = f"{selected}{selected.protocol}{endpoint}"
    digest = base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode()
    return f"KUBE-{prefix}-{digest}"


def internal_chain(selected: Selected) -> str:
    """Where the cluster IP leads."""
    return chain_name("SVL" if selected.internal_local else "SVC", selected)


def has_firewall(selected: Selected) -> bool:
    """Whether source ranges guard its load balancer IPs here (semantics §3.1 rows 10 and 11)."""
    guarded = selected.load_balancer_ips and selected.source_ranges
    return selected.anywhere and bool(guarded)


def write_chains(draft: Draft, selected: Selected, setting: Setting) -> None:
    """All chains that the service port needs on this node."""
    _masquerade_inside(draft, selected, setting)
    if selected.anywhere and selected.accessible:
        _external(draft, selected, setting)
    if has_firewall(selected):
        _firewall(draft, selected, setting)
    used: dict[Endpoint, None] = {}
    if selected.uses_cluster:
        _balance(draft, selected, chain_name("SVC", selected), selected.cluster)
        used |= dict.fromkeys(selected.cluster)
    if selected.uses_local:
        _balance(draft, selected, chain_name("SVL", selected), selected.local)
        used |= dict.fromkeys(selected.local)
    for endpoint in used:
        _endpoint(draft, selected, endpoint)


def _masquerade_inside(draft: Draft, selected: Selected, setting: Setting) -> None:
    """Who dials the cluster IP and must be masqueraded (semantics §4.1): everybody, or whoever is
    no pod; nobody without a detector."""
    if not selected.inside or not (setting.masquerade_all or setting.pods):
        return
    strangers = "" if setting.masquerade_all else f"! -s {setting.pods} "
    at_cluster_ip = dialled(selected, selected.cluster_ip, f"{selected} cluster IP")
    rule = f"{strangers}{at_cluster_ip} -j {MARK_MASQUERADE}"
    draft.add("nat", internal_chain(selected), rule)


def _external(draft: Draft, selected: Selected, setting: Setting) -> None:
    """What is done with traffic to an external destination, whichever it is (semantics §2.2)."""
    ext, svc = chain_name("EXT", selected), chain_name("SVC", selected)
    said = f"traffic for {selected} external destinations"
    if not selected.external_local:
        draft.add("nat", ext, f"{comment(f'masquerade {said}')} -j {MARK_MASQUERADE}")
    else:
        if setting.pods:
            draft.add("nat", ext, f"-s {setting.pods} {comment(f'pod {said}')} -j {svc}")
        here = "-m addrtype --src-type LOCAL -j"
        said = f"LOCAL {said}"
        draft.add("nat", ext, f"{comment(f'masquerade {said}')} {here} {MARK_MASQUERADE}")
        draft.add("nat", ext, f"{comment(f'route {said}')} {here} {svc}")
    if selected.outside:
        chain = chain_name("SVL", selected) if selected.external_local else svc
        draft.add("nat", ext, f"-j {chain}")


def _firewall(draft: Draft, selected: Selected, setting: Setting) -> None:
    """Sources that may go on to the external chain. Where the node itself is among them, so are
    the load balancer's IPs, which a node that owns them would send from. Who comes to the end is
    not translated, and KUBE-PROXY-FIREWALL drops it."""
    chain, ext = chain_name("FW", selected), chain_name("EXT", selected)
    ranges = selected.source_ranges
    allowed = [str(n) for n in ranges]
    if setting.node_ip and any(setting.node_ip in n for n in ranges):
        allowed += [host(ip) for ip in selected.load_balancer_ips]
    said = comment(f"{selected} loadbalancer IP")
    draft.add("nat", chain, *(f"-s {source} {said} -j {ext}" for source in allowed))
    rest = f"other traffic to {selected} will be dropped by KUBE-PROXY-FIREWALL"
    draft.add("nat", chain, comment(rest))


def _balance(draft: Draft, selected: Selected, chain: str, endpoints: Sequence[Endpoint]) -> None:
    """Whom an endpoint remembers goes there (semantics §5.3); then one jump for each endpoint, each
    with the chance that makes all of them equal (§5.1)."""
    for endpoint in endpoints if selected.service.affinity_timeout is not None else ():
        sep = chain_name("SEP", selected, str(endpoint))
        age = f"--rcheck --seconds {selected.service.affinity_timeout} --reap"
        said = comment(f"{selected} -> {endpoint}")
        draft.add("nat", chain, f"{said} -m recent {age} {_record(selected, sep)} -j {sep}")
    for index, endpoint in enumerate(endpoints):
        chance = _chance(len(endpoints) - index)
        sep = chain_name("SEP", selected, str(endpoint))
        draft.add("nat", chain, f"{comment(f'{selected} -> {endpoint}')}{chance} -j {sep}")


def _chance(left: int) -> str:
    """One in so many. kube-proxy writes ten decimals, and iptables-save prints what the kernel made
    of them: a multiple of 2^-31 (semantics §5.1)."""
    if left == 1:
        return ""
    quantised = round(float(f"{1 / left:.10f}") * 2**31) / 2**31
    return f" -m statistic --mode random --probability {quantised:.11f}"


def _endpoint(draft: Draft, selected: Selected, endpoint: Endpoint) -> None:
    """Masquerade what an endpoint sends to itself, remember the source, translate."""
    chain = chain_name("SEP", selected, str(endpoint))
    said, protocol = comment(str(selected)), selected.protocol
    remember = ""
    if selected.service.affinity_timeout is not None:
        remember = f" -m recent --set {_record(selected, chain)}"
    draft.add(
        "nat",
        chain,
        f"-s {host(endpoint.address)} {said} -j {MARK_MASQUERADE}",
        f"-p {protocol} {said}{remember} -m {protocol} -j DNAT --to-destination {endpoint}",
    )


def _record(selected: Selected, chain: str) -> str:
    """The list of sources that an endpoint remembers, by whole addresses."""
    mask = "255.255.255.255" if selected.family == 4 else ":".join(["ffff"] * 8)
    return f"--name {chain} --mask {mask} --rsource"
