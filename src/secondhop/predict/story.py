"""A trail told: the outcome, its reason in one sentence, and the steps with the rule of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.cluster import ProxyMode
from ..model.fate import Backend, ClientIP, Fate, Outcome, Step
from .path import FLANNEL, ROUTER
from .services import Match
from .trail import Delivery, Hop, Sent, Trail
from .verdict import Action

ENTRANCE_FIELDS = {
    "clusterIP": "spec.clusterIPs",
    "externalIP": "spec.externalIPs",
    "loadBalancerIP": "status.loadBalancer.ingress",
}
ENTRANCE_NAMES = {
    "clusterIP": "the cluster IP",
    "externalIP": "an external IP",
    "loadBalancerIP": "the load balancer IP",
    "nodePort": "the node port",
}
OPENINGS = {
    Fate.DROPPED: "dropped on",
    Fate.REJECTED: "rejected on",
    Fate.CLOSED: "closed by",
    Fate.UNROUTABLE: "unroutable at",
    Fate.LOOP: "circles between the router and",
    Fate.MIXED: "partly lost behind",
}


def outcome(trail: Trail) -> Outcome:
    """The prediction with its reason, without steps."""
    answered = [d for d in trail.deliveries if d.answered]
    share = 1 / len(trail.deliveries) if answered else 0.0
    backends = tuple(
        Backend(
            d.endpoint.pod,
            d.place.node.name if d.place.node else d.endpoint.node,
            d.place.label,
            share,
            d.source,
            _crossed(trail, d),
        )
        for d in answered
    )
    kept = all(d.source == trail.origin.source for d in answered)
    client_ip: ClientIP | None = ("kept" if kept else "replaced") if answered else None
    return Outcome(trail.fate, reason(trail), client_ip, backends, (), trail.http, trail.certainty)


def _crossed(trail: Trail, delivery: Delivery) -> int:
    """The nodes from the one that chose the pod on."""
    if not trail.hops:
        return 0
    return 1 if delivery.place.node is trail.hops[-1].node else 2


def reason(trail: Trail) -> str:
    """The outcome in one sentence, for somebody who is paged at night."""
    if trail.fate is not Fate.DELIVERED:
        return f"{OPENINGS[trail.fate]} {trail.where}: {trail.why}"
    if trail.http is not None:
        status, ready = trail.http
        return f"the health check of {trail.where} answers {status}, localEndpoints: {ready}"
    if not trail.hops:
        return trail.why
    hop, deliveries = trail.hops[-1], trail.deliveries
    chosen = f"{_fallback(hop, deliveries)}{_destination(hop, deliveries)}"
    return f"{chosen}{_source_seen(trail, hop, deliveries)}"


def _fallback(hop: Hop, deliveries: Sequence[Delivery]) -> str:
    """Terminating pods are worth a word: they are used only where nobody is ready."""
    if hop.verdict.match is None or all(d.endpoint.ready for d in deliveries):
        return ""
    anywhere = hop.verdict.match.target.usable(hop.node).ready
    where = f"on {hop.node.name}" if anywhere else "anywhere"
    return f"no pod is ready {where}, so terminating ones still serve: "


def _destination(hop: Hop, deliveries: Sequence[Delivery]) -> str:
    name = hop.node.name
    here = [d for d in deliveries if d.place.node is hop.node]
    away = [d for d in deliveries if d.place.node is not hop.node]
    if not away:
        if len(here) > 1:
            return f"{name} hands it to one of its own {len(here)} pods"
        return f"{name} hands it to its own pod {here[0].endpoint.pod or here[0].place.label}"
    others = _names(away)
    if here:
        counts = f"{len(here)} here and {len(away)} on {others} (second hop)"
        return f"{name} picks one of {len(deliveries)} pods, {counts}"
    match = hop.verdict.match
    passed_over = match is not None and match.target.usable(hop.node).ready_here
    own = "passes over its own pods (topology hints)" if passed_over else "has no ready pod"
    return f"{name} {own}; it passes the connection on to {others} (second hop)"


def _names(deliveries: Iterable[Delivery]) -> str:
    """The nodes of these pods: all of a few, or how many."""
    names = sorted({d.place.node.name if d.place.node else "outside" for d in deliveries})
    return f"{len(names)} other nodes" if len(names) > 3 else ", ".join(names)


def _source_seen(trail: Trail, hop: Hop, deliveries: Sequence[Delivery]) -> str:
    """What became of the source address on the last hop."""
    first = deliveries[0]
    if all(d.replaced and d.exit == first.exit for d in deliveries):
        return f" and replaces the source by {first.source}, the address of {first.exit.device}"
    changes = {(d.exit.device, d.source) for d in deliveries if d.replaced}
    if changes:
        addresses = [f"{source} ({device})" for device, source in sorted(changes)]
        if not all(d.replaced for d in deliveries):
            addresses.append(f"{hop.packet.source} where it stays as it is")
        return f"; the pod sees {' or '.join(addresses)}"
    if hop.packet.source == trail.origin.source:
        return "; the pod sees the sender's own address"
    sender = trail.hops[0].node.name
    return f"; the pod sees {hop.packet.source}, put on the packet as it left {sender}"


def steps(trail: Trail, mode: ProxyMode) -> tuple[Step, ...]:
    """Every decision on the way, in order."""
    told: list[Step] = []
    for hop in trail.hops:
        if hop.by_via:
            what = f"sends {hop.packet} to {hop.node.name}"
            told.append(Step(ROUTER, what, "the network outside brings this address to that node"))
        told += _sending(hop, hop.sent) if hop.sent else _deciding(hop, trail, mode)
    if not trail.hops or trail.hops[-1].sent:
        told.append(
            Step(trail.where, f"{trail.fate}: {trail.why}", "routing; no rule of kube-proxy")
        )
    return tuple(told)


def _sending(hop: Hop, sent: Sent) -> Iterator[Step]:
    """A node that only passes the packet on."""
    name = hop.node.name
    if hop.verdict.rule:
        yield Step(name, hop.verdict.why, hop.verdict.rule, hop.verdict.chain)
    what = f"sends {hop.packet} on by {sent.exit.device}"
    if sent.packet.source == hop.packet.source:
        yield Step(name, what, "the node's routes; no rule of kube-proxy here")
    else:
        yield Step(
            name,
            f"{what} and replaces the source {hop.packet.source} by {sent.packet.source}",
            FLANNEL,
            "FLANNEL-POSTRTG",
        )


def _deciding(hop: Hop, trail: Trail, mode: ProxyMode) -> Iterator[Step]:
    """The node that decides."""
    name, verdict = hop.node.name, hop.verdict
    if verdict.match is not None:
        yield _recognised(hop, verdict.match, mode)
    if verdict.action is not Action.TRANSLATE:
        what = reason(trail) if trail.deliveries or trail.http else f"{trail.fate}: {trail.why}"
        yield Step(name, what, verdict.rule or "no rule of kube-proxy", verdict.chain)
        return
    count = len(verdict.endpoints)
    what = f"chooses among {count} endpoints, {1 / count:.1%} each"
    if count == 1:
        what = f"chooses the only endpoint, {verdict.endpoints[0]}"
    yield Step(name, what, verdict.rule, verdict.chain)
    service = verdict.match.target.service if verdict.match else None
    if service is not None and service.affinity_timeout is not None:
        what = f"a source keeps its pod on this node for {service.affinity_timeout} s"
        yield Step(name, what, f"Service {service} spec.sessionAffinity=ClientIP")
    for group in _alike(trail.deliveries):
        yield from _handing_over(hop, group, mode)


def _recognised(hop: Hop, match: Match, mode: ProxyMode) -> Step:
    port, service = match.target.port, match.target.service
    if match.entrance == "nodePort":
        field = f"spec.ports[{service.ports.index(port)}].nodePort={port.node_port}"
        chain = "KUBE-NODEPORTS"
    else:
        field, chain = ENTRANCE_FIELDS[match.entrance], "KUBE-SERVICES"
    what = f"takes {hop.packet} for {ENTRANCE_NAMES[match.entrance]} of Service {service}"
    return Step(
        hop.node.name,
        what,
        f"Service {service} {field}",
        chain if mode == "iptables" else "services",
    )


def _alike(deliveries: Iterable[Delivery]) -> Iterable[list[Delivery]]:
    """Deliveries that leave alike, to one node."""
    groups: dict[tuple[str, str, str, str], list[Delivery]] = {}
    for d in deliveries:
        name = d.place.node.name if d.place.node else ""
        groups.setdefault((name, d.exit.device, d.source_rule, str(d.source)), []).append(d)
    return groups.values()


def _handing_over(hop: Hop, group: Sequence[Delivery], mode: ProxyMode) -> Iterator[Step]:
    """The source as the pods will see it, and the pods."""
    first = group[0]
    name = hop.node.name
    if first.replaced:
        what = f"replaces the source {hop.packet.source} by {first.source}"
        what += f", the address of {first.exit.device}"
        own = "KUBE-POSTROUTING" if mode == "iptables" else "masquerading"
        chain = "FLANNEL-POSTRTG" if first.source_rule == FLANNEL else own
        yield Step(name, what, first.source_rule, chain)
    else:
        yield Step(name, f"leaves the source {first.source} as it is", first.source_rule)
    pods = ", ".join(d.endpoint.pod or d.place.label for d in group)
    what = f"{pods}: reached by {first.exit.device} of {name}, sees {first.source}"
    if not first.answered:
        what += f"; answers the sender directly, past {name}, and is not understood"
    home = first.place.node
    if home is None:
        yield Step("outside", what, "the endpoint's address is in no node's pod CIDR")
    else:
        field = "status.addresses (hostNetwork)" if first.place.on_host else "spec.podCIDRs"
        yield Step(home.name, what, f"Node {home.name} {field}")
