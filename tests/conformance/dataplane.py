"""Holding the rules of `dataplane` against the cases of Kubernetes' unit tests and against the
recordings: every contradiction in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from secondhop.model.cluster import Address, Cluster, Proxy, ProxyMode

from .cases import Selection, UnitFlow, categorize, packetflow, recorded
from .routed import contradictions, walker_of
from .walker import Packet, told

MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")


def unit_flow_contradiction(case: UnitFlow) -> str:
    """What a packet-flow case says against the rules of its node; empty when it agrees."""
    here, to = case.cluster.nodes[0], case.flow.destination
    walker = walker_of(case.cluster, here, to.address.version)
    packet = Packet(case.flow.source.ip, to.address, to.port, to.protocol)
    ends = walker.walk(packet, made_here=walker.owns(packet.source))
    found = told(ends), any(end.masqueraded for end in ends)
    if found == (case.output, case.masqueraded):
        return ""
    return f"{case.number}: {case.flow} {found}, not {(case.output, case.masqueraded)}"


NODE_IP, CLIENT_IP = ip_interface("192.168.8.1/24"), ip_address("198.51.100.1")


def selection_cluster(case: Selection, mode: ProxyMode) -> Cluster:
    """The one node of a case, with its Service."""
    [port] = case.service.ports
    return Cluster(
        (replace(case.node, addresses=(NODE_IP,)),),
        services=(case.service,),
        endpoints={case.service.port_name(port): case.endpoints},
        proxy=Proxy(mode, detect_local=(ip_network("10.0.0.0/8"),)),
    )


def selection_contradiction(case: Selection, mode: ProxyMode) -> str:
    """What a case of endpoint selection says against the rules that follow from it: each list is
    asked for by a packet that it serves (semantics §2.2). Empty when it agrees."""
    service, cluster = case.service, selection_cluster(case, mode)
    [port] = service.ports
    walker = walker_of(cluster, cluster.nodes[0], 4)

    def listed(destination: Address, number: int, wanted: frozenset[str]) -> list[str]:
        found = told(walker.walk(Packet(CLIENT_IP, destination, number), made_here=False))
        nothing = "DROP" if case.anywhere else "REJECT"
        right = found == (", ".join(sorted(wanted)) or nothing)
        return [] if right else [f"{case.number}: {destination}:{number} {found}, not {wanted}"]

    inside = case.local if service.internal_traffic_policy == "Local" else case.cluster
    said = listed(service.cluster_ips[0], port.port, inside)
    if port.node_port:
        outside = case.local if service.external_traffic_policy == "Local" else case.cluster
        said += listed(NODE_IP.ip, port.node_port, outside)
        packet = Packet(NODE_IP.ip, NODE_IP.ip, port.node_port)
        own = told(walker.walk(packet, made_here=True))
        if own != (", ".join(sorted(case.cluster)) or "REJECT"):
            said.append(f"{case.number}: from the node itself {own}, not {case.cluster}")
    return " ".join(said)


def all_contradictions(mode: ProxyMode) -> Iterator[str]:
    """Everything that anything says against the rules of one mode."""
    for flow in packetflow():
        if flow.cluster.proxy.mode == mode:
            yield unit_flow_contradiction(flow)
    for selection in categorize():
        yield selection_contradiction(selection, mode)
    for scenario in recorded():
        if scenario.cluster.proxy.mode == mode:
            yield from contradictions(scenario)
