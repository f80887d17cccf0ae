"""A recorded probe followed from node to node through rendered rules, as far as rules decide.

Two things are taken from the recordings' topology (truth's README): an address of a node is
delivered to that node, and the router hands the Service's addresses to the node `via`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from secondhop.dataplane import node as dataplane
from secondhop.model.cluster import Address, Cluster, Family, Node
from secondhop.model.fate import Fate

from .cases import RATE_LIMITED, Probe, Scenario, key
from .nft_walker import NftWalker
from .walker import End, Packet, Walker

Anyone: TypeAlias = Walker | NftWalker
Walkers: TypeAlias = Mapping[tuple[str, Family], Anyone]


def walker_of(
    cluster: Cluster, node: Node, family: Family, remembered: Iterable[str] = ()
) -> Anyone:
    """Who walks through all that is written on a node. remembered: as the walkers take it."""
    rules = dataplane.rules(cluster, node, counters=True, family=family)
    walker = Walker(rules.iptables, own_addresses(node, family), remembered)
    return NftWalker(rules.nftables, walker, remembered) if rules.nftables else walker


def contradictions(scenario: Scenario) -> list[str]:
    """What a scenario's probes say against the rules of its nodes."""
    cluster = scenario.cluster
    walkers = _walkers(cluster)
    found = []
    for probe in scenario.probes:
        if key(scenario, probe) not in RATE_LIMITED:
            ends = list(followed(cluster, walkers, probe))
            found += [
                f"{key(scenario, probe)}: {said}" for said in objections(cluster, probe, ends)
            ]
    return found


def _walkers(cluster: Cluster) -> Walkers:
    families: tuple[Family, ...] = (4, 6)
    return {
        (node.name, family): walker_of(cluster, node, family)
        for node in cluster.nodes
        for family in families
    }


def own_addresses(node: Node, family: Family) -> list[Address]:
    every = [i.ip for i in node.addresses if i.version == family]
    return every + [ip for ip in (node.bridge_address(family), node.overlay_address(family)) if ip]


def followed(cluster: Cluster, walkers: Walkers, probe: Probe) -> Iterator[End]:
    """Every end at the node that decides: the sender's own, or the one its packet enters."""
    flow, to = probe.flow, probe.flow.destination
    source = to.address if to.address.is_loopback else flow.source.ip
    packet = Packet(source, to.address, to.port, to.protocol)
    family = to.address.version
    owner = (n.name for n in cluster.nodes if to.address in {i.ip for i in n.addresses})
    entry = walkers.get((next(owner, flow.via or ""), family))
    here = walkers.get((flow.source.node or "", family))
    if here is None:
        yield from entry.walk(packet, made_here=False) if entry else ()
        return
    for end in here.walk(packet, made_here=flow.source.kind == "node"):
        if end.refused or end.packet.translated or here.owns(to.address):
            yield end
        elif entry:
            yield from _entered(cluster, entry, here, end, probe)


def _entered(
    cluster: Cluster, entry: Anyone, here: Anyone, left: End, probe: Probe
) -> Iterator[End]:
    """A packet that left its node, at the next. One that comes back to the node that masqueraded it
    is lost; so is one with a source of the node's own, a martian to IPv4 (semantics §13.10)."""
    packet, sender = left.packet, cluster.node(probe.flow.source.node or "")
    nic = sender.address(packet.source.version)
    if left.masqueraded and nic:
        packet = replace(packet, source=nic)
    packet = replace(packet, mark=0)
    martian = packet.source.version == 4 and here.owns(packet.source)
    if entry is here and (left.masqueraded or martian):
        yield replace(left, verdict="DROP")
    else:
        yield from entry.walk(packet, made_here=False)


def objections(cluster: Cluster, probe: Probe, ends: list[End]) -> Iterator[str]:
    """What one probe says against the ends of its walk."""
    fates = {_fate(cluster, end) for end in ends}
    if probe.http is not None:
        let_in = {"ACCEPT"} if cluster.proxy.mode == "iptables" else {""}
        if {end.verdict for end in ends} != let_in:
            yield f"health check answered, {ends}"
    elif ends and probe.fate not in fates:
        yield f"{probe.fate}, walked {fates}"
    elif ends and probe.fate is Fate.DELIVERED:
        pods = {e.address: e.pod for es in cluster.endpoints.values() for e in es}
        if not probe.pods.keys() <= {pods.get(end.packet.destination) for end in ends}:
            yield f"saw {probe.pods}, walked {ends}"
        kept = {end.packet.source for end in ends if not end.masqueraded}
        for source in probe.sources:
            if source not in kept and not any(end.masqueraded for end in ends):
                yield f"source {source}, but nothing masquerades: {ends}"
            if source == probe.flow.source.ip and not kept and probe.flow.source.kind != "node":
                yield f"source {source} kept, but everything masquerades: {ends}"


def _fate(cluster: Cluster, end: End) -> Fate:
    if end.refused:
        return Fate.DROPPED if end.verdict == "DROP" else Fate.REJECTED
    if end.packet.translated:
        return Fate.DELIVERED
    to = end.packet.destination
    if not to.is_loopback and not any(to in own_addresses(n, to.version) for n in cluster.nodes):
        return Fate.LOOP
    return Fate.REJECTED if end.packet.protocol == "UDP" else Fate.CLOSED
