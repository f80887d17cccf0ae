"""The rules kube-proxy writes on a node in iptables mode: its chains, names and order.

A reading of semantics §2, §3 and §3.4 of its own: nothing here is shared with `predict`. Rules are
written in the form in which iptables-save prints them, so that a lab node reads like a production
node.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model.cluster import Address, Cluster, Endpoint, Family, Node, Service, ServicePort
from .ruleset import Ruleset

_MASQUERADE_MARK = "0x4000/0x4000"
_NEW = "-m conntrack --ctstate NEW"

_PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
_EXTERNAL = (
    f'{_NEW} -m comment --comment "kubernetes externally-visible service portals"'
    " -j KUBE-EXTERNAL-SERVICES"
)
_LB_FIREWALL = (
    f'{_NEW} -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL'
)
_JUMPS: dict[str, dict[str, tuple[str, ...]]] = {
    "filter": {
        "INPUT": (
            "-j KUBE-FIREWALL",
            _LB_FIREWALL,
            '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
            _EXTERNAL,
        ),
        "FORWARD": (
            _LB_FIREWALL,
            '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
            f"{_NEW} {_PORTALS}",
            _EXTERNAL,
        ),
        "OUTPUT": ("-j KUBE-FIREWALL", _LB_FIREWALL, f"{_NEW} {_PORTALS}"),
    },
    "nat": {
        "PREROUTING": (_PORTALS,),
        "OUTPUT": (_PORTALS,),
        "POSTROUTING": ('-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',),
    },
}
_KUBE_FIREWALL = (
    '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections"'
    " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
)
_KUBE_FORWARD = (
    '-m comment --comment "kubernetes forwarding rules"'
    f" -m mark --mark {_MASQUERADE_MARK} -j ACCEPT",
    '-m comment --comment "kubernetes forwarding conntrack rule"'
    " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
)
_KUBE_POSTROUTING = (
    f"-m mark ! --mark {_MASQUERADE_MARK} -j RETURN",
    "-j MARK --set-xmark 0x4000/0x0",
    '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
)


INVALID_COUNTER = "ct_state_invalid_dropped_pkts"
LOCALHOST_COUNTER = "localhost_nps_accepted_pkts"


def rules(cluster: Cluster, node: Node, *, counters: bool, family: Family = 4) -> Ruleset:
    """All of kube-proxy's chains on this node, for one family.

    counters: the kernel has the two nfacct objects by which kube-proxy counts; on one without
    nfacct it leaves the counting rules out.
    """
    writer = _Writer(cluster, node, family, counters)
    for service in cluster.services:
        cluster_ip = service.cluster_ip(family)
        if cluster_ip is None or service.type == "ExternalName" or service.proxy_name is not None:
            continue
        for port in service.ports:
            writer.service_port(_Selected.of(cluster, node, service, port, family), cluster_ip)
    return writer.finish()


@dataclass(frozen=True, slots=True)
class _Selected:
    """A service port with the endpoints that this node uses for it (semantics §2.1)."""

    service: Service
    port: ServicePort
    cluster: tuple[Endpoint, ...]
    """For policy Cluster, and for what starts on this node or in its pods."""
    local: tuple[Endpoint, ...]
    """For policy Local."""
    anywhere: bool
    """Some usable endpoint exists in the cluster."""

    @classmethod
    def of(
        cls, cluster: Cluster, node: Node, service: Service, port: ServicePort, family: Family
    ) -> _Selected:
        every = cluster.endpoints_of(service, port, family)
        ready = [e for e in every if e.ready]
        leaving = [e for e in every if e.serving and e.terminating]
        here = [e for e in ready if e.node == node.name]
        return cls(
            service,
            port,
            tuple(_near(ready, node) or leaving),
            tuple(here or [e for e in leaving if e.node == node.name]),
            bool(ready or leaving),
        )

    @property
    def name(self) -> str:
        return str(self.service.port_name(self.port))

    def chain(self, prefix: str, endpoint: str = "") -> str:
        """kube-proxy's chain name: 16 characters of a hash over names, never over content."""
        text = f"{self.name}{self.port.protocol.lower()}{endpoint}"
        digest = base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
        return f"KUBE-{prefix}-{digest[:16]}"

    def refusal(self, chosen: Sequence[Endpoint]) -> tuple[str, str] | None:
        """Comment and target for a destination that nothing may serve here."""
        if not self.anywhere:
            return f"{self.name} has no endpoints", _REJECT
        if not chosen:
            return f"{self.name} has no local endpoints", "DROP"
        return None


_REJECT = "REJECT --reject-with icmp-port-unreachable"


def _near(ready: Sequence[Endpoint], node: Node) -> Sequence[Endpoint]:
    """The ready endpoints that topology hints leave to this node: node hints, else zone hints,
    each only if every ready endpoint carries them and some name us."""
    if ready and all(e.node_hints for e in ready):
        mine = [e for e in ready if node.name in e.node_hints]
        if mine:
            return mine
    if ready and all(e.zone_hints for e in ready):
        mine = [e for e in ready if node.zone in e.zone_hints]
        if mine:
            return mine
    return ready


class _Writer:
    """Collects the chains of one node."""

    def __init__(self, cluster: Cluster, node: Node, family: Family, counters: bool) -> None:
        self._cluster = cluster
        self._counters = counters
        self._node = node
        self._family = family
        self._localhost = cluster.proxy.localhost_node_ports and family == 4
        self._pods = next((n for n in cluster.proxy.detect_local if n.version == family), None)
        self._filter: dict[str, list[str]] = {
            "KUBE-EXTERNAL-SERVICES": [],
            "KUBE-FIREWALL": [],
            "KUBE-FORWARD": [
                f"-m conntrack --ctstate INVALID{self._counted(INVALID_COUNTER)} -j DROP",
                *_KUBE_FORWARD,
            ],
            "KUBE-NODEPORTS": [],
            "KUBE-PROXY-CANARY": [],
            "KUBE-PROXY-FIREWALL": [],
            "KUBE-SERVICES": [],
        }
        self._nat: dict[str, list[str]] = {
            "KUBE-MARK-MASQ": [f"-j MARK --set-xmark {_MASQUERADE_MARK}"],
            "KUBE-NODEPORTS": [],
            "KUBE-POSTROUTING": list(_KUBE_POSTROUTING),
            "KUBE-PROXY-CANARY": [],
            "KUBE-SERVICES": [],
        }
        if self._localhost:
            self._filter["KUBE-FIREWALL"].append(_KUBE_FIREWALL)

    def service_port(self, selected: _Selected, cluster_ip: Address) -> None:
        """Everything one service port needs."""
        service, port = selected.service, selected.port
        inside = selected.local if service.internal_traffic_policy == "Local" else selected.cluster
        outside = selected.local if service.external_traffic_policy == "Local" else selected.cluster
        protocol = port.protocol.lower()
        at_cluster_ip = (
            f"-d {cluster_ip}/{cluster_ip.max_prefixlen} -p {protocol} -m comment"
            f' --comment "{selected.name} cluster IP" -m {protocol} --dport {port.port}'
        )
        self._cluster_ip(selected, inside, at_cluster_ip)
        if port.node_port:
            self._node_port(selected, outside)
        external = bool(port.node_port)
        if selected.cluster and (external or service.internal_traffic_policy == "Cluster"):
            svc = selected.chain("SVC")
            not_pod = f"! -s {self._pods} " if self._pods else ""
            if self._cluster.proxy.masquerade_all:
                self._add(svc, f"{at_cluster_ip} -j KUBE-MARK-MASQ")
            elif self._pods:
                self._add(svc, f"{not_pod}{at_cluster_ip} -j KUBE-MARK-MASQ")
            self._balance(selected, svc, selected.cluster)
        uses_local = "Local" in (
            service.internal_traffic_policy,
            service.external_traffic_policy if external else "Cluster",
        )
        if uses_local and selected.local:
            self._balance(selected, selected.chain("SVL"), selected.local)

    def finish(self) -> Ruleset:
        """The tables, the jumps into them last because the node-port jump must end its chain."""
        self._nat["KUBE-SERVICES"] += self._node_port_jumps()
        return {
            "mangle": {"KUBE-PROXY-CANARY": ()},
            "filter": {**_JUMPS["filter"], **_frozen(self._filter)},
            "nat": {**_JUMPS["nat"], **_frozen(self._nat)},
        }

    # --- parts ------------------------------------------------------------------------------

    def _cluster_ip(
        self, selected: _Selected, chosen: Sequence[Endpoint], destination: str
    ) -> None:
        if refusal := selected.refusal(chosen):
            comment, target = refusal
            said = destination.replace(f"{selected.name} cluster IP", comment)
            self._filter["KUBE-SERVICES"].append(f"{said} -j {target}")
            return
        local = selected.service.internal_traffic_policy == "Local"
        chain = selected.chain("SVL" if local else "SVC")
        self._add("KUBE-SERVICES", f"{destination} -j {chain}")

    def _node_port(self, selected: _Selected, chosen: Sequence[Endpoint]) -> None:
        protocol, number = selected.port.protocol.lower(), selected.port.node_port
        if selected.anywhere:
            ext = selected.chain("EXT")
            match = (
                f'-p {protocol} -m comment --comment "{selected.name}" -m {protocol}'
                f" --dport {number}"
            )
            if self._counters and self._localhost:
                counted = self._counted(LOCALHOST_COUNTER)
                self._add("KUBE-NODEPORTS", f"-d 127.0.0.0/8 {match}{counted} -j {ext}")
            self._add("KUBE-NODEPORTS", f"{match} -j {ext}")
            self._external(selected, ext)
        if refusal := selected.refusal(chosen):
            comment, target = refusal
            self._filter["KUBE-EXTERNAL-SERVICES"].append(
                f'-p {protocol} -m comment --comment "{comment}" -m addrtype --dst-type LOCAL'
                f" -m {protocol} --dport {number} -j {target}"
            )

    def _external(self, selected: _Selected, ext: str) -> None:
        """What is done with traffic to an external destination, whichever it is."""
        said = f"for {selected.name} external destinations"
        svc = selected.chain("SVC")
        if selected.service.external_traffic_policy == "Cluster":
            comment = f'-m comment --comment "masquerade traffic {said}"'
            self._add(ext, f"{comment} -j KUBE-MARK-MASQ", f"-j {svc}")
            return
        if self._pods:
            self._add(ext, f'-s {self._pods} -m comment --comment "pod traffic {said}" -j {svc}')
        here = "-m addrtype --src-type LOCAL -j"
        self._add(
            ext,
            f'-m comment --comment "masquerade LOCAL traffic {said}" {here} KUBE-MARK-MASQ',
            f'-m comment --comment "route LOCAL traffic {said}" {here} {svc}',
        )
        if selected.local:
            self._add(ext, f"-j {selected.chain('SVL')}")

    def _balance(self, selected: _Selected, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """One jump for each endpoint, each with the chance that makes all of them equal."""
        for index, endpoint in enumerate(endpoints):
            left = len(endpoints) - index
            chance = (
                f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
            )
            sep = selected.chain("SEP", str(endpoint))
            comment = f'-m comment --comment "{selected.name} -> {endpoint}"'
            self._add(chain, f"{comment}{chance} -j {sep}")
            if sep not in self._nat:
                self._endpoint(selected, sep, endpoint)

    def _endpoint(self, selected: _Selected, sep: str, endpoint: Endpoint) -> None:
        protocol = selected.port.protocol.lower()
        source = f"{endpoint.address}/{endpoint.address.max_prefixlen}"
        comment = f'-m comment --comment "{selected.name}"'
        self._add(
            sep,
            f"-s {source} {comment} -j KUBE-MARK-MASQ",
            f"-p {protocol} {comment} -m {protocol} -j DNAT --to-destination {endpoint}",
        )

    def _node_port_jumps(self) -> list[str]:
        comment = (
            '-m comment --comment "kubernetes service nodeports;'
            ' NOTE: this must be the last rule in this chain"'
        )
        wanted = self._node_port_addresses()
        if wanted is None:
            return [f"{comment} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"]
        return [f"-d {ip}/{ip.max_prefixlen} {comment} -j KUBE-NODEPORTS" for ip in wanted]

    def _node_port_addresses(self) -> list[Address] | None:
        """The addresses that answer node ports; None for all of this node's (semantics §1.4)."""
        configured = self._cluster.proxy.node_port_addresses
        primary = self._node.address(self._family)
        if "primary" in configured:
            return [primary] if primary else None
        ranges = [n for n in configured if n != "primary" and n.version == self._family]
        if not ranges or any(n.prefixlen == 0 for n in ranges):
            return None
        return [ip for ip in self._own_addresses() if any(ip in n for n in ranges)]

    def _own_addresses(self) -> list[Address]:
        own: list[Address] = [i.ip for i in self._node.addresses if i.version == self._family]
        bridge = self._node.bridge_address(self._family)
        overlay = self._node.overlay_address(self._family)
        own += [bridge] if bridge else []
        own += [overlay] if overlay and self._cluster.cni.backend == "vxlan" else []
        return own

    def _counted(self, counter: str) -> str:
        return f" -m nfacct --nfacct-name {counter}" if self._counters else ""

    def _add(self, chain: str, *lines: str) -> None:
        self._nat.setdefault(chain, []).extend(lines)


def _frozen(chains: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(lines) for name, lines in chains.items()}
