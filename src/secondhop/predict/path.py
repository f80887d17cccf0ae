"""The way of a flow, hop by hop: sender's egress, entry node, backend, and back (semantics §4)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from ipaddress import ip_address

from ..errors import UsageError
from ..model.cluster import Address, Cluster, Endpoint, Node, Protocol
from ..model.fate import Fate, HealthAnswer
from ..model.flow import Flow
from ..model.placement import Certainty
from .placement import Placements
from .routing import Exit, Routes
from .trail import Delivery, Hop, Sent, Trail
from .verdict import Action, KubeProxy, Packet, Verdict

ROUTER = "the router"
_LOOPBACK = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}
FLANNEL = "flannel --ip-masq: between pods and the outside the node lends its address"


class Paths:
    """All ways through a cluster in the world of a Lab, and the tables that they share."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.routes = Routes(cluster)
        self.proxy = KubeProxy(cluster, self.routes)

    @cached_property
    def placements(self) -> Placements:
        """What is certain of the pods that nobody has placed."""
        return Placements(self.cluster)

    @cached_property
    def listeners(self) -> dict[tuple[Address, int, Protocol], Endpoint]:
        """Every endpoint by what its pod listens on."""
        return {
            (endpoint.address, endpoint.port, name.protocol): endpoint
            for name, endpoints in self.cluster.endpoints.items()
            for endpoint in endpoints
        }

    @cached_property
    def pod_addresses(self) -> frozenset[Address]:
        """Every address that some pod is known to have."""
        listening = {address for address, _, _ in self.listeners}
        return frozenset(listening.union(*(pod.addresses for pod in self.cluster.pods)))

    def node(self, name: str) -> Node:
        """The node of that name; UsageError if there is none."""
        node = self.routes.node(name)
        if node is None:
            known = ", ".join(n.name for n in self.cluster.nodes) or "none"
            raise UsageError(f"there is no node {name!r}", f"the cluster's nodes are: {known}")
        return node

    def walk(self, flow: Flow) -> Trail:
        """Follow a flow to its end; UsageError if it cannot even start."""
        return _Walk(self, flow).run()


class _Walk:
    """One flow on its way, and what has become of it so far."""

    def __init__(self, paths: Paths, flow: Flow):
        if flow.source.ip.version != flow.destination.address.version:
            raise UsageError(
                f"{flow.source.ip} cannot reach {flow.destination.address}: the families differ",
                "use two IPv4 addresses or two IPv6 addresses",
            )
        self.paths = paths
        self.routes = paths.routes
        self.flow = flow
        self.sender = self._sender()
        # A hostNetwork pod is a process of its node.
        self.made_here = flow.source.kind == "node" or (
            self.sender is not None and self.routes.is_local(self.sender, flow.source.ip)
        )
        self.is_pod = self.sender is not None and not self.made_here
        destination = flow.destination
        self.packet = Packet(
            flow.source.ip, destination.address, destination.port, destination.protocol
        )
        self.origin = self.packet
        self.hops: list[Hop] = []
        self.routed = False
        self.by_via = False

    def _sender(self) -> Node | None:
        """The node that sends or holds the sending pod; None for the outside."""
        source = self.flow.source
        if source.kind == "client":
            return None
        if source.kind == "address":
            return self.routes.host(source.ip) or self.routes.pod_host(source.ip)
        if source.node is None:
            raise UsageError(
                f"{source.kind} {source.name} is on no node", "name a node, or a pod that is placed"
            )
        return self.paths.node(source.node)

    def run(self) -> Trail:
        """From the sender to the end."""
        if self.sender is None:
            return self._at_router()
        if self.is_pod and self._to_itself():
            return self._inside()
        if self.made_here:
            own = self.routes.own_source(self.sender, self.packet.destination)
            if own is None:
                why = f"it has no IPv{self.packet.destination.version} address to send from"
                return self._end(Fate.UNROUTABLE, self.sender.name, why)
            self.packet = self.origin = replace(self.packet, source=own)
        return self._at(self.sender)

    def _to_itself(self) -> bool:
        to = self.packet.destination
        return to.is_loopback or to == self.packet.source

    def _inside(self) -> Trail:
        """What a pod sends to itself goes by the loopback device of its own namespace, where there
        are no rules and no node."""
        own, packet = self.packet.source, self.packet
        if packet.destination.is_loopback:
            self.packet = self.origin = replace(packet, source=_LOOPBACK[own.version])
        where = f"pod {self.flow.source.name}"
        endpoint = self.paths.listeners.get((own, packet.port, packet.protocol))
        if endpoint is None:
            why = f"nothing in it is known to listen on {packet.port}/{packet.protocol}"
            return self._end(_refusal(packet), where, why)
        delivery = Delivery(
            endpoint,
            self.routes.place(endpoint),
            Exit("lo", None),
            self.packet.source,
            False,
            "",
            True,
        )
        why = "the pod dials itself: the packet never leaves it, and no rule of a node sees it"
        return self._end(Fate.DELIVERED, where, why, (delivery,))

    def _at_router(self) -> Trail:
        """The router knows the nodes' addresses, and sends the rest to `via` if there is one."""
        packet = self.packet
        node = self.routes.host(packet.destination)
        self.by_via = node is None
        if node is None:
            self.routed = True
            if self.flow.via is None:
                why = f"it knows no way to {packet.destination}"
                if self.paths.proxy.is_inside(packet.destination):
                    why += ", which exists only inside the cluster"
                return self._told_by_router(Fate.UNROUTABLE, ROUTER, why)
            node = self.paths.node(self.flow.via)
        if any(hop.by_via and hop.node is node and hop.packet == packet for hop in self.hops):
            return self._told_by_router(Fate.LOOP, node.name, self.hops[-1].verdict.why)
        # §13.9-10: IPv4 refuses a packet from the wire that bears the receiver's own address. IPv6
        # lets it circle, but the final error goes to that address: a masqueraded pod never hears.
        returned = self.hops and self.routes.is_local(node, packet.source)
        if returned and (self.is_pod or packet.source.version == 4):
            why = f"{self.hops[-1].verdict.why}; the router sends the packet back to {node.name}"
            if packet.source.version == 4:
                why += ", which takes nothing that bears its own address as source"
            else:
                why += " until its hop limit ends, of which the pod never hears"
            return self._end(Fate.DROPPED, node.name, why)
        return self._at(node)

    def _told_by_router(self, fate: Fate, where: str, why: str) -> Trail:
        """The router's ICMP tells the sender; not a pod that nobody has masqueraded, to which the
        router knows no way. In a loop it is the router that finds a pod's packet too old."""
        if self.routes.pod_host(self.packet.source) is None:
            return self._end(fate, where, why)
        why += "; the pod never hears of it: the router knows no way to its address"
        return self._end(Fate.DROPPED, where, why)

    def _at(self, node: Node) -> Trail:
        """The packet is at a node: kube-proxy first, then the node's own sockets and routes."""
        packet = self.packet
        verdict = self.paths.proxy.decide(node, packet, made_here=self.made_here)
        if verdict.action is not Action.PASS:
            self.hops.append(Hop(node, packet, verdict, self.by_via))
            return self._decided(node, verdict)
        there = self.routes.pod_host(packet.destination)
        if self.routes.is_local(node, packet.destination) or there is node:
            self.hops.append(Hop(node, packet, verdict, self.by_via))
            return self._untouched(node, verdict)
        exit = self.routes.way_out(node, packet.destination)
        if exit.address is not None and self.routes.flannel_masquerades(
            node, packet.source, packet.destination
        ):
            self.packet = replace(packet, source=exit.address)
        self.hops.append(Hop(node, packet, verdict, self.by_via, Sent(self.packet, exit)))
        self.made_here = self.by_via = False
        return self._at_router() if there is None else self._at(there)

    def _decided(self, node: Node, verdict: Verdict) -> Trail:
        """kube-proxy has decided here."""
        if verdict.action is Action.DROP:
            return self._end(Fate.DROPPED, node.name, verdict.why)
        if verdict.action is Action.REJECT:
            return self._end(Fate.REJECTED, node.name, verdict.why)
        deliveries = tuple(self._delivery(node, verdict, e) for e in verdict.endpoints)
        answered = sum(d.answered for d in deliveries)
        if answered == len(deliveries):
            return self._end(Fate.DELIVERED, node.name, deliveries=deliveries)
        why = f"{len(deliveries) - answered} of {len(deliveries)} pods answer the sender directly"
        why += f", past {node.name}, which alone could translate the answer back"
        fate = Fate.MIXED if answered else Fate.DROPPED
        return self._end(fate, node.name, why, deliveries)

    def _delivery(self, node: Node, verdict: Verdict, endpoint: Endpoint) -> Delivery:
        """How `node` hands the packet to an endpoint (§4.1 to §4.3), and whether the answer comes
        back by the node that translated it (§4.6)."""
        routes, packet, address = self.routes, self.packet, endpoint.address
        place = routes.place(endpoint)
        here = place.node is node
        if not (here and place.on_host):
            exit = routes.way_to(node, None if place.on_host else place.node, address)
        elif self.made_here:
            # The loopback device lends no address: MASQUERADE takes the NIC's.
            exit = Exit("lo", node.address(address.version))
        else:
            rule = "what a node receives for itself never passes POSTROUTING"
            exit = Exit("lo", None)
            return Delivery(endpoint, place, exit, packet.source, False, rule, True)
        replaced, rule = verdict.masquerade, verdict.source_rule
        if not replaced and self.paths.proxy.hairpin(node, packet, endpoint):
            replaced, rule = True, "hairpin: a pod that is given to itself is masqueraded"
        if not replaced and routes.flannel_masquerades(node, packet.source, address):
            replaced, rule = True, FLANNEL
        source = exit.address if replaced and exit.address else packet.source
        answered = replaced or here or node is self.sender
        return Delivery(endpoint, place, exit, source, replaced, rule, answered)

    def _untouched(self, node: Node, verdict: Verdict) -> Trail:
        """No rule of kube-proxy is for this packet to the node or to one of its pods: whoever
        listens there gets it as it is."""
        packet = self.packet
        health = self.paths.proxy.health(node, packet)
        if health is not None:
            return self._end(Fate.DELIVERED, node.name, http=health)
        endpoint = self.paths.listeners.get((packet.destination, packet.port, packet.protocol))
        if endpoint is not None:
            direct = replace(self._delivery(node, verdict, endpoint), answered=True)
            return self._end(Fate.DELIVERED, node.name, deliveries=(direct,))
        if not (
            self.routes.is_local(node, packet.destination)
            or packet.destination in self.paths.pod_addresses
        ):
            return self._end(Fate.UNROUTABLE, node.name, f"no pod has {packet.destination}")
        return self._end(_refusal(packet), node.name, verdict.why)

    def _end(
        self,
        fate: Fate,
        where: str,
        why: str = "",
        deliveries: tuple[Delivery, ...] = (),
        http: HealthAnswer | None = None,
    ) -> Trail:
        return Trail(
            self.origin,
            tuple(self.hops),
            fate,
            where,
            why,
            deliveries,
            http,
            self.routed,
            self._certainty(http),
        )

    def _certainty(self, http: HealthAnswer | None) -> Certainty | None:
        """Whether it ends so in every placement; only the last hop looked at endpoints."""
        if not self.hops:
            return None
        hop, placements = self.hops[-1], self.paths.placements
        if http is not None:
            targets = self.paths.proxy.health_targets(hop.packet)
            return placements.same_fate((t.name for t in targets), hop.node)
        if hop.verdict.match is None:
            return None
        name = hop.verdict.match.target.name
        return placements.same_fate([name], hop.node if hop.verdict.by_node else None)


def _refusal(packet: Packet) -> Fate:
    """What becomes of a packet that nobody listens for. Of the transports only UDP cannot refuse by
    itself: the kernel sends port-unreachable."""
    return Fate.REJECTED if packet.protocol == "UDP" else Fate.CLOSED
