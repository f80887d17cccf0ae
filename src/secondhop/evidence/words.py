"""Rules of kube-proxy and flannel in words, with the field of the Service behind each.

They are recognised by the text that iptables-save and nft print: by kube-proxy's names of chains
and maps, and by its comments (semantics §3.4), never by what is expected on the way.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from ..model.cluster import Cluster, Service
from ..model.trace import Addresses, Rule, RuleEvent

_OWN_LOG = re.compile(
    r'-j NFLOG --nflog-prefix "?[0-9a-f]{8}"? --nflog-group 1\b|log prefix "[0-9a-f]{8}" group 1$'
)
_REFUSED = "refused-"
_SERVICE = re.compile(r"\b([a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*)")

_LOCAL = "spec.externalTrafficPolicy=Local"
_CLUSTER = "spec.externalTrafficPolicy=Cluster"
_INTERNAL = "spec.internalTrafficPolicy=Local"
_RANGES = "spec.loadBalancerSourceRanges"
_ENDPOINTS = "EndpointSlices of Service {service}"
_MARKS = "marks the connection: its source will be replaced as it leaves (SNAT)"
_LEAVING = "SNAT: the source becomes the address of the device by which it leaves"
_HAIRPIN = "the pod was given to itself (hairpin)"
_HERE = "only ready pods of this node may serve it"
_ANY = "any ready pod may serve it, on whichever node"
_BY_POD = "it comes from a pod of the cluster, for which the policy does not count: any pod serves"
_BY_NODE = "it comes from the node itself, for which the policy does not count: any pod serves"
_NOBODY = "nobody serves it: Service {service} has no endpoint that could, on any node"
_NOBODY_HERE = "no ready pod of Service {service} is on this node, and no other may serve it"
_STRANGER = "the sender is in none of the ranges that may dial the load balancer's IP"


class _Saying(NamedTuple):
    """What a rule is in words, and the field behind it; `{…}` stands for what its pattern found,
    `{service}` for the Service that it names."""

    pattern: re.Pattern[str]
    what: str
    field: str = ""


def _saying(pattern: str, what: str, field: str = "") -> _Saying:
    return _Saying(re.compile(pattern), what, field)


_NODE_PORT = "node port {port} is that of Service {service}"

_IPTABLES = (
    _saying(r"-A KUBE-NODEPORTS .*health check", "the health check's node port is let in"),
    _saying(
        r"-A KUBE-NODEPORTS .*--dport (?P<port>\d+) .*-j KUBE-EXT-",
        _NODE_PORT,
        "spec.ports[{index}].nodePort={port}",
    ),
    _saying(
        r"-A KUBE-SERVICES -d (?P<ip>[^/]+)/.* IP\".* -j KUBE",
        "{ip} is an IP of Service {service}",
        "{kind}",
    ),
    _saying(r"-A KUBE-EXT-.*\"masquerade traffic for", _MARKS, _CLUSTER),
    _saying(r"-A KUBE-EXT-.*\"masquerade LOCAL traffic", _MARKS),
    _saying(r"-A KUBE-EXT-.*\"pod traffic for", _BY_POD),
    _saying(r"-A KUBE-EXT-.*\"route LOCAL traffic", _BY_NODE),
    _saying(r"-A KUBE-EXT-\S+ -j KUBE-SVL-", _HERE, _LOCAL),
    _saying(r"-A KUBE-EXT-\S+ -j KUBE-SVC-", _ANY, _CLUSTER),
    _saying(r"-A KUBE-SV[CL]-.* cluster IP\".* -j KUBE-MARK-MASQ", _MARKS, "spec.clusterIPs"),
    _saying(
        r"-A KUBE-SV[CL]-.*-> (?P<to>[^\"]+)\".* -m recent",
        "the sender was given {to} before, and keeps it",
        "spec.sessionAffinity=ClientIP",
    ),
    _saying(
        r"-A KUBE-SV[CL]-.*-> (?P<to>[^\"]+)\".*--probability (?P<chance>[\d.]+)",
        "chance (1 in {one_in} of those left) chooses the endpoint {to}",
        _ENDPOINTS,
    ),
    _saying(r"-A KUBE-SV[CL]-.*-> (?P<to>[^\"]+)\"", "the endpoint is {to}", _ENDPOINTS),
    _saying(r"-A KUBE-SEP-\S+ -s .*-j KUBE-MARK-MASQ", f"{_HAIRPIN}: {_MARKS}"),
    _saying(r"-A KUBE-SEP-.*-j DNAT .*--to-destination (?P<to>\S+)", "DNAT: now it goes to {to}"),
    _saying(
        r"-A KUBE-FW-\S+ -s (?P<range>\S+) .*-j KUBE-EXT",
        "the sender is in {range}, which may dial the load balancer's IP",
        _RANGES,
    ),
    _saying(r"-A KUBE-FW-\S+ .*will be dropped by", f"{_STRANGER}: it is not translated", _RANGES),
    _saying(r"-A KUBE-PROXY-FIREWALL .*-j DROP", f"dropped: {_STRANGER}", _RANGES),
    _saying(r"-A KUBE-\S+ .*has no endpoints\".*-j REJECT", f"rejected: {_NOBODY}", _ENDPOINTS),
    _saying(
        r"-A KUBE-SERVICES .*has no local endpoints\".*-j DROP",
        f"dropped: {_NOBODY_HERE}",
        _INTERNAL,
    ),
    _saying(r"-A KUBE-\S+ .*has no local endpoints\".*-j DROP", f"dropped: {_NOBODY_HERE}", _LOCAL),
    _saying(r"-A KUBE-POSTROUTING .*-j MASQUERADE", _LEAVING),
    _saying(r"-A FLANNEL-POSTRTG .*-j MASQUERADE", f"flannel's --ip-masq: {_LEAVING}"),
    _saying(
        r"-A KUBE-FORWARD .*INVALID.*-j DROP",
        "dropped: it belongs to no connection that this node knows",
    ),
    _saying(r"-A KUBE-FIREWALL .*-j DROP", "dropped: from outside for a loopback address"),
)

_TABLE = "(?:rule|element) ip6? kube-proxy "
_NFTABLES = (
    _saying(
        _TABLE + r"service-nodeports { \S+ \. (?P<port>\d+) ",
        _NODE_PORT,
        "spec.ports[{index}].nodePort={port}",
    ),
    _saying(_TABLE + r"service-ips { (?P<ip>\S+) ", "{ip} is an IP of Service {service}", "{kind}"),
    _saying(
        _TABLE + r"firewall-ips ", "only some senders may dial the load balancer's IP", _RANGES
    ),
    _saying(_TABLE + r"firewall-\S+/.* drop$", f"dropped: {_STRANGER}", _RANGES),
    _saying(_TABLE + r"external-.*\"masquerade\"", _MARKS, _CLUSTER),
    _saying(_TABLE + r"external-.*\"masquerade local traffic\"", _MARKS),
    _saying(_TABLE + r"external-.*\"short-circuit pod traffic\"", _BY_POD),
    _saying(_TABLE + r"external-.*\"short-circuit local traffic\"", _BY_NODE),
    _saying(_TABLE + r"external-\S+ goto local-", _HERE, _LOCAL),
    _saying(_TABLE + r"external-\S+ goto service-", _ANY, _CLUSTER),
    _saying(_TABLE + r"services .*daddr @cluster-ips", _MARKS, "spec.clusterIPs"),
    _saying(
        _TABLE + r"(?:service|local)-\S+ .*saddr @affinity",
        "the sender was given this endpoint before, and keeps it",
        "spec.sessionAffinity=ClientIP",
    ),
    _saying(
        _TABLE + r"(?:service|local)-\S+ .*dnat.* mod 1 map",
        "DNAT: now it goes to the only endpoint",
        _ENDPOINTS,
    ),
    _saying(
        _TABLE + r"(?:service|local)-\S+ .*dnat.* mod (?P<count>\d+) map",
        "DNAT: now it goes to an endpoint that chance (1 in {count}) chooses",
        _ENDPOINTS,
    ),
    _saying(
        _TABLE + r"(?:service|local)-\S+ .*numgen random mod 1 vmap",
        "there is only one endpoint",
        _ENDPOINTS,
    ),
    _saying(
        _TABLE + r"(?:service|local)-\S+ .*numgen random mod (?P<count>\d+) vmap",
        "chance (1 in {count}) chooses an endpoint",
        _ENDPOINTS,
    ),
    _saying(_TABLE + r"endpoint-\S+ .*dnat .*to (?P<to>\S+)$", "DNAT: now it goes to {to}"),
    _saying(_TABLE + r"masquerading .*@hairpin-connections", f"{_HAIRPIN}: {_LEAVING}"),
    _saying(_TABLE + r"masquerading .* masquerade", _LEAVING),
    _saying(_TABLE + r"no-endpoint-nodeports .* : drop", f"dropped: {_NOBODY_HERE}", _LOCAL),
    _saying(
        _TABLE + r"no-endpoint-services { (?P<ip>\S+) .* : drop",
        f"dropped: {_NOBODY_HERE}",
        "{inside}",
    ),
    _saying(_TABLE + r"no-endpoint-\S+ .* : goto reject", f"rejected: {_NOBODY}", _ENDPOINTS),
    _saying(_TABLE + r"reject-chain reject", "the node answers with an ICMP error"),
    _saying(
        _TABLE + r"cluster-ips-check .* reject",
        "rejected: no Service has this port of its cluster IP",
    ),
    _saying(_TABLE + r"cluster-ips-check .* drop", "dropped: no Service has this cluster IP"),
)
_SAYINGS = (*_IPTABLES, *_NFTABLES)

_OWNERS = {
    "kube-proxy": re.compile(r"-A KUBE-|-A .* -j KUBE-|(?:rule|element) ip6? kube-proxy "),
    "flannel": re.compile(r"-A FLANNEL-|-A .* -j FLANNEL-"),
}


class Teller:
    """Tells the rules that one packet met, in their order: those that name no Service are about
    the one that was named last."""

    def __init__(self, cluster: Cluster) -> None:
        self._services = {str(service): service for service in cluster.services}
        self._service: Service | None = None

    def tell(self, event: RuleEvent, text: str, packet: Addresses) -> Rule | None:
        """The rule in words; None for what the lab itself has put there to hear of refusals. text:
        empty if it is not known any more. packet: its addresses then."""
        rule = event.met.rule
        text = _met_by(text, packet)
        if _OWN_LOG.search(text) or event.met.target.startswith(_REFUSED):
            return None
        if not text:
            which = f"rule {rule.handle}" if rule.handle else "the policy"
            text = f"{which} of chain {rule.chain} in table {rule.family} {rule.table}"
        owner = next((name for name, owns in _OWNERS.items() if owns.match(text)), "")
        what = field = ""
        for saying in _SAYINGS if owner else ():
            if found := saying.pattern.match(text):
                what, field = self._filled(saying, found.groupdict(), text)
                break
        return Rule(rule.node, text, event.verdict, event.state, what, field, owner)

    def _filled(self, saying: _Saying, found: dict[str, str], text: str) -> tuple[str, str]:
        named = (self._services.get(name) for name in _SERVICE.findall(text))
        self._service = service = next(filter(None, named), self._service)
        known = {"service": str(service or "?"), "kind": "", "index": "", "inside": _LOCAL, **found}
        if "chance" in found:
            known["one_in"] = f"{1 / float(found['chance']):.0f}"
        if service is not None and "ip" in found:
            known["kind"] = kind = _kind(service, found["ip"])
            known["inside"] = _INTERNAL if kind == "spec.clusterIPs" else _LOCAL
        if service is not None and "port" in found:
            known["index"] = str(_index(service, int(found["port"])))
        field = saying.field.format(**known)
        if service is not None and field.startswith(("spec.", "status.")):
            field = f"Service {service} {field}"
        return saying.what.format(**known), field


def _met_by(text: str, packet: Addresses) -> str:
    """Of several elements that lead to the same chain the one with the packet's destination."""
    head, brace, elements = text.partition(" { ")
    if not (head.startswith("element ") and ", " in elements):
        return text
    each = elements.removesuffix(" }").split(", ")
    mine = [e for e in each if e.startswith(f"{packet.destination} . ")]
    return f"{head}{brace}{', '.join(mine or each)} }}"


def _kind(service: Service, text: str) -> str:
    """The field that makes an address one of a Service's."""
    ip = ip_address(text)
    if ip in service.cluster_ips:
        return "spec.clusterIPs"
    return "spec.externalIPs" if ip in service.external_ips else "status.loadBalancer.ingress"


def _index(service: Service, port: int) -> int:
    return next((i for i, p in enumerate(service.ports) if p.node_port == port), 0)
