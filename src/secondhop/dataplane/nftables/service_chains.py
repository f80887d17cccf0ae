"""The chains of one service port: external-, firewall-, service-, local- and endpoint-."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from ...model.cluster import Address, Endpoint, Network, Node
from ..selected import Selected
from ..setting import Setting
from .match import MARK, comment, family_word, one_or_set
from .ruleset import Draft

_LONGEST = 240


def chain_name(prefix: str, selected: Selected, endpoint: Endpoint | None = None) -> str:
    """kube-proxy's name: 8 characters of a hash over names, never over content, and the names."""
    service = selected.service
    name = f"{service.namespace}/{service.name}/{selected.protocol}/{selected.port.name}"
    if endpoint:
        name += f"__{endpoint.address}/{endpoint.port}".replace(":", ".")
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()[:5]).decode()
    name = f"{digest}-{name}"
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 3]}..."
    return f"{prefix}-{name}"


def internal_chain(selected: Selected) -> str:
    """Where the cluster IP leads."""
    return chain_name("local" if selected.internal_local else "service", selected)


def has_firewall(selected: Selected) -> bool:
    """Whether source ranges guard its load balancer IPs here, somebody to guard or not (semantics
    §3.1 rows 10 and 11)."""
    return bool(selected.load_balancer_ips and selected.source_ranges)


def write_chains(draft: Draft, selected: Selected, setting: Setting, node: Node) -> None:
    """All chains that the service port needs on this node."""
    if selected.anywhere and selected.accessible:
        _external(draft, selected, setting)
    if has_firewall(selected):
        _firewall(draft, selected, setting)
    used: dict[Endpoint, None] = {}
    if selected.uses_cluster:
        _balance(draft, selected, chain_name("service", selected), selected.cluster)
        used |= dict.fromkeys(selected.cluster)
    if selected.uses_local:
        _balance(draft, selected, chain_name("local", selected), selected.local)
        used |= dict.fromkeys(selected.local)
    for endpoint in used:
        if endpoint.node == node.name:
            to_itself = f"{endpoint.address} . {endpoint.address} . {selected.protocol}"
            draft.add_element("hairpin-connections", f"{to_itself} . {endpoint.port}")
        if selected.service.affinity_timeout is not None:
            _endpoint(draft, selected, endpoint)


def _external(draft: Draft, selected: Selected, setting: Setting) -> None:
    """What is done with traffic to an external destination, whichever it is (semantics §2.2)."""
    ext, svc = chain_name("external", selected), chain_name("service", selected)
    word = family_word(selected.family)
    if not selected.external_local:
        draft.add(ext, f"{MARK} {comment('masquerade')}")
    else:
        if setting.pods:
            says = comment("short-circuit pod traffic")
            draft.add(ext, f"{word} saddr {setting.pods} goto {svc} {says}")
        here = "fib saddr type local"
        draft.add(ext, f"{here} {MARK} {comment('masquerade local traffic')}")
        draft.add(ext, f"{here} goto {svc} {comment('short-circuit local traffic')}")
    if selected.outside:
        chain = chain_name("local", selected) if selected.external_local else svc
        draft.add(ext, f"goto {chain}")


def _firewall(draft: Draft, selected: Selected, setting: Setting) -> None:
    """Sources that may not go on to be translated are dropped. Where the node itself may, so may
    the load balancer's IPs, which a node that owns them would send from."""
    ranges = selected.source_ranges
    allowed: list[Address | Network] = [*ranges]
    if setting.node_ip and any(setting.node_ip in n for n in ranges):
        allowed += selected.load_balancer_ips
    source = f"{family_word(selected.family)} saddr"
    draft.add(chain_name("firewall", selected), f"{source} != {one_or_set(allowed)} drop")


def _balance(draft: Draft, selected: Selected, chain: str, endpoints: Sequence[Endpoint]) -> None:
    """One endpoint by chance, each as likely (semantics §5.1). With affinity, whom an endpoint
    remembers goes there (§5.3)."""
    if not endpoints:
        return
    word, random = family_word(selected.family), f"numgen random mod {len(endpoints)}"
    if selected.service.affinity_timeout is None:
        to = ", ".join(f"{i} : {e.address} . {e.port}" for i, e in enumerate(endpoints))
        translate = f"dnat {word} to {random} map {{ {to} }}"
        draft.add(chain, f"meta l4proto {selected.protocol} {translate}")
        return
    chains = [chain_name("endpoint", selected, endpoint) for endpoint in endpoints]
    for endpoint, to in zip(endpoints, chains, strict=True):
        remembered = f"{word} saddr @{chain_name('affinity', selected, endpoint)}"
        draft.add(chain, f"{remembered} goto {to}")
    each = ", ".join(f"{i} : goto {to}" for i, to in enumerate(chains))
    draft.add(chain, f"{random} vmap {{ {each} }}")


def _endpoint(draft: Draft, selected: Selected, endpoint: Endpoint) -> None:
    """Remember the source, translate."""
    affinity, chain = (chain_name(p, selected, endpoint) for p in ("affinity", "endpoint"))
    word, seconds = family_word(selected.family), selected.service.affinity_timeout
    ip = f"ipv{selected.family}_addr"
    draft.add_set(affinity, f"type {ip}; flags dynamic,timeout; timeout {seconds}s")
    draft.add(
        chain,
        f"update @{affinity} {{ {word} saddr }}",
        f"meta l4proto {selected.protocol} dnat to {endpoint}",
    )
