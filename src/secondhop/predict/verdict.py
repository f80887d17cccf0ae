"""What kube-proxy of one node does with the first packet of a flow (semantics §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_network

from ..model.cluster import Address, Cluster, Endpoint, Family, Network, Node, Protocol
from ..model.fate import HealthAnswer
from .chains import Part, service_chain
from .endpoints import Usable
from .routing import Routes
from .services import Entrance, Match, ServiceTable, Target


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow, as it stands somewhere on its way."""

    source: Address
    destination: Address
    port: int
    protocol: Protocol

    def __str__(self) -> str:
        ip = self.destination
        return f"[{ip}]:{self.port}" if ip.version == 6 else f"{ip}:{self.port}"


class Action(Enum):
    """What kube-proxy can do with a packet; PASS leaves it to the node's routing and sockets."""

    TRANSLATE = "translate"
    DROP = "drop"
    REJECT = "reject"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Verdict:
    """kube-proxy's answer on one node.

    why: a clause for the reason; rule: the object's field that decided; chain: where to look.
    match: whom the packet is for. When translated, endpoints: the choice, each equally likely;
    masquerade, source_rule: whether kube-proxy replaces the source, and by which rule. by_node:
    whether it turned on the node's own endpoints.
    """

    action: Action
    why: str
    rule: str
    chain: str = ""
    match: Match | None = None
    endpoints: tuple[Endpoint, ...] = ()
    masquerade: bool = False
    source_rule: str = ""
    by_node: bool = False


class KubeProxy:
    """The rules that kube-proxy keeps on every node of a cluster, read as decisions."""

    def __init__(self, cluster: Cluster, routes: Routes):
        self.config = cluster.proxy
        self.mode = cluster.proxy.mode
        self.iptables = self.mode == "iptables"
        self.service_cidrs = cluster.cni.service_cidrs
        self.routes = routes
        self.services = ServiceTable(cluster)
        self._detectors: dict[int, Network] = {}
        for cidr in cluster.proxy.detect_local:
            self._detectors.setdefault(cidr.version, cidr)

    def decide(self, node: Node, packet: Packet, *, made_here: bool) -> Verdict:
        """What `node` does with the packet; made_here: a process of the node itself sends it.

        The order is that of §3.5.
        """
        match = self.match(node, packet)
        if match is None:
            return self._unmatched(node, packet)
        usable = match.target.usable(node)
        # Without any endpoint iptables has no firewall chain, but its REJECT (§3.1 row 11).
        guarded = match.entrance == "loadBalancerIP" and (usable.anywhere or not self.iptables)
        if guarded and not match.target.admits(node, packet.source):
            return self._barred(match)
        if not usable.anywhere:
            return self._nobody(node, packet, match, made_here=made_here)
        if match.entrance == "clusterIP":
            return self._inside(node, packet, match, usable)
        return self._outside(node, packet, match, usable)

    def match(self, node: Node, packet: Packet) -> Match | None:
        """The service port the packet is for: by its address first, else by node port (§3.2)."""
        match = self.services.by_address.get((packet.destination, packet.port, packet.protocol))
        if (
            match is None
            and self.routes.is_local(node, packet.destination)
            and self.answers_node_ports(node, packet.destination)
        ):
            return self.services.by_node_port.get(node_port_key(packet))
        return match

    def answers_node_ports(self, node: Node, ip: Address) -> bool:
        """Whether node ports are served on this local address (§3.2)."""
        if ip.is_loopback and not (
            self.iptables and ip.version == 4 and self.config.localhost_node_ports
        ):
            return False
        served = self._served(node, ip.version)
        return not served or any(ip in cidr for cidr in served)

    def _served(self, node: Node, family: int) -> list[Network]:
        """nodePortAddresses of one family on this node; empty stands for every local address.
        The default is that of iptables, and the InternalIP for nftables (§1.4)."""
        configured = self.config.node_port_addresses
        if not configured and not self.iptables:
            configured = ("primary",)
        served: list[Network] = []
        for entry in configured:
            if entry != "primary":
                served.append(entry)
            else:
                internal = (node.address(4), node.address(6))
                served += [ip_network(ip) for ip in internal if ip is not None]
        return [cidr for cidr in served if cidr.version == family]

    def from_pod(self, source: Address) -> bool:
        """Whether the local-traffic detector takes the source for a pod (§1.4)."""
        detector = self._detectors.get(source.version)
        return detector is not None and source in detector

    def hairpin(self, node: Node, packet: Packet, endpoint: Endpoint) -> bool:
        """Whether a pod has been given to itself, which always masquerades (§3.3 d)."""
        return endpoint.address == packet.source and (self.iptables or endpoint.node == node.name)

    def is_inside(self, ip: Address) -> bool:
        """Whether it is an address that only kube-proxy's rules give a meaning."""
        return ip in self.services.by_cluster_ip or any(ip in c for c in self.service_cidrs)

    def health(self, node: Node, packet: Packet) -> HealthAnswer | None:
        """What a healthCheckNodePort answers on this local address; None if none listens (§6.1):
        ready endpoint addresses on the node, whatever their port."""
        targets = self.health_targets(packet)
        served = self._served(node, packet.destination.version)
        if not targets or (served and not self.answers_node_ports(node, packet.destination)):
            return None
        here = {e.address for t in targets for e in t.endpoints if e.ready and e.node == node.name}
        return HealthAnswer(200 if here else 503, len(here))

    def health_targets(self, packet: Packet) -> list[Target]:
        """The service ports that a health check on this port is about."""
        if packet.protocol != "TCP":
            return []
        key = (packet.destination.version, packet.port)
        return self.services.by_health_port.get(key, [])

    def _inside(self, node: Node, packet: Packet, match: Match, usable: Usable) -> Verdict:
        """To the cluster IP of a Service that has a usable endpoint somewhere."""
        target = match.target
        policy = f"Service {target.service} spec.internalTrafficPolicy"
        part: Part
        if not target.internal_local:
            part, rule, chosen = "service", f"{policy}=Cluster", usable.cluster
        else:
            part, rule, chosen = "local", f"{policy}=Local; {census(node, usable)}", usable.local
        if not chosen:
            return self._no_local(node, match, usable, "internalTrafficPolicy", rule)
        if self.config.masquerade_all:
            masquerade, source_rule = True, "kube-proxy masqueradeAll=true"
        elif packet.source.version not in self._detectors:
            masquerade, source_rule = False, "kube-proxy has no clusterCIDR to tell pods by"
        elif self.from_pod(packet.source):
            masquerade, source_rule = False, "kube-proxy clusterCIDR: the sender is a pod"
        else:
            masquerade, source_rule = True, "kube-proxy clusterCIDR: the sender is no pod"
        found = self._translate(match, part, rule, chosen, masquerade, source_rule)
        return replace(found, by_node=target.internal_local)

    def _outside(self, node: Node, packet: Packet, match: Match, usable: Usable) -> Verdict:
        """To a node port, load balancer or external IP with a usable endpoint somewhere."""
        target = match.target
        policy = f"Service {target.service} spec.externalTrafficPolicy"
        everybody = usable.cluster
        if not target.external_local:
            why = f"{policy}=Cluster masquerades every connection"
            return self._translate(match, "service", f"{policy}=Cluster", everybody, True, why)
        if self.from_pod(packet.source):
            rule = f"{policy}=Local does not bind pods: they may reach every endpoint"
            why = f"{policy}=Local masquerades no pod"
            return self._translate(match, "service", rule, everybody, False, why)
        if self.routes.is_local(node, packet.source):
            rule = f"{policy}=Local does not bind the node itself: it may reach every endpoint"
            why = f"{policy}=Local masquerades what the node itself sends"
            return self._translate(match, "service", rule, everybody, True, why)
        rule = f"{policy}=Local; {census(node, usable)}"
        if not usable.local:
            return self._no_local(node, match, usable, "externalTrafficPolicy", rule)
        why = f"{policy}=Local masquerades nobody from outside"
        found = self._translate(match, "local", rule, usable.local, False, why)
        return replace(found, by_node=True)

    def _translate(
        self,
        match: Match,
        part: Part,
        rule: str,
        chosen: tuple[Endpoint, ...],
        masquerade: bool,
        source_rule: str,
    ) -> Verdict:
        chain = service_chain(self.mode, part, match.target.name)
        return Verdict(Action.TRANSLATE, "", rule, chain, match, chosen, masquerade, source_rule)

    def _no_local(
        self, node: Node, match: Match, usable: Usable, policy: str, rule: str
    ) -> Verdict:
        """Policy Local, nobody here, somebody elsewhere: silence (§3.1 rows 2 and 8)."""
        elsewhere = usable.ready - usable.ready_here
        others = f"{elsewhere} ready elsewhere" if elsewhere else "only terminating ones elsewhere"
        why = f"{policy}=Local and none of {node.name}'s pods is ready ({others})"
        return Verdict(Action.DROP, why, rule, self._guard(match.entrance), match, by_node=True)

    def _nobody(self, node: Node, packet: Packet, match: Match, *, made_here: bool) -> Verdict:
        """No usable endpoint in the whole cluster (§3.1 rows 1 and 5 to 7)."""
        service, usable = match.target.service, match.target.usable(node)
        listed = f"{usable.total} listed, none ready" if usable.total else "none listed"
        why = f"Service {service} has no usable endpoint anywhere ({listed})"
        rule = f"EndpointSlices of Service {service}: 0 of {usable.total} endpoints ready"
        if (
            self.iptables
            and made_here
            and match.entrance in ("loadBalancerIP", "externalIP")
            and not self.routes.is_local(node, packet.destination)
        ):
            why += ", and iptables does not reject a node's own packets to such an address"
            return Verdict(Action.PASS, why, rule, "KUBE-EXTERNAL-SERVICES", match)
        return Verdict(Action.REJECT, why, rule, self._guard(match.entrance), match)

    def _barred(self, match: Match) -> Verdict:
        """Source outside loadBalancerSourceRanges (§3.1 rows 10 and 11)."""
        ranges = ", ".join(map(str, match.target.ranges))
        field = f"spec.loadBalancerSourceRanges={ranges}"
        chain = service_chain(self.mode, "firewall", match.target.name)
        why = f"the source is outside {field}"
        return Verdict(Action.DROP, why, f"Service {match.target.service} {field}", chain, match)

    def _guard(self, entrance: Entrance) -> str:
        """The chain that drops or rejects what found no endpoint."""
        if self.iptables:
            return "KUBE-SERVICES" if entrance == "clusterIP" else "KUBE-EXTERNAL-SERVICES"
        return "nodeport-endpoints-check" if entrance == "nodePort" else "service-endpoints-check"

    def _unmatched(self, node: Node, packet: Packet) -> Verdict:
        """No service port is for the packet (§3.5 step 10)."""
        if self.routes.is_local(node, packet.destination):
            return self._unmatched_here(node, packet)
        service = self.services.by_cluster_ip.get(packet.destination)
        if service is not None:
            why = f"Service {service} has no port {packet.port}/{packet.protocol}"
            rule = f"Service {service} spec.ports"
            if not self.iptables:
                return Verdict(Action.REJECT, why, rule, "cluster-ips-check")
            return Verdict(Action.PASS, why, rule)
        if not self.iptables and self.is_inside(packet.destination):
            why = f"{packet.destination} is in the Service CIDR but is nobody's cluster IP"
            return Verdict(Action.DROP, why, "ServiceCIDR", "cluster-ips-check")
        service = self.services.by_proxied_ip.get(packet.destination)
        if service is not None:
            rule = f"Service {service} status.loadBalancer.ingress[].ipMode=Proxy"
            why = f"kube-proxy leaves {packet.destination} to the balancer (ipMode=Proxy)"
            return Verdict(Action.PASS, why, rule)
        return Verdict(Action.PASS, f"no Service has {packet}/{packet.protocol}", "")

    def _unmatched_here(self, node: Node, packet: Packet) -> Verdict:
        """To an address of the node itself, but to none of its served node ports."""
        targets = self.health_targets(packet)
        if targets:
            rule = f"Service {targets[0].service} spec.healthCheckNodePort={packet.port}"
            chain = "KUBE-NODEPORTS" if self.iptables else ""
            return Verdict(Action.PASS, "no other rule is for a health check", rule, chain)
        match = self.services.by_node_port.get(node_port_key(packet))
        if match is None:
            why = f"no Service has node port {packet.port}/{packet.protocol}"
            return Verdict(Action.PASS, why, "")
        usable = match.target.usable(node)
        # iptables drops and rejects on every local address, whatever it serves (§3.1 row 14).
        if self.iptables and not usable.anywhere:
            return self._nobody(node, packet, match, made_here=False)
        if self.iptables and match.target.external_local and not usable.local:
            field = f"Service {match.target.service} spec.externalTrafficPolicy"
            rule = f"{field}=Local; {census(node, usable)}"
            return self._no_local(node, match, usable, "externalTrafficPolicy", rule)
        why = f"{node.name} does not answer node ports on {packet.destination}"
        return Verdict(Action.PASS, why, f"kube-proxy nodePortAddresses ({self.mode} mode)")


def census(node: Node, usable: Usable) -> str:
    """How many of the ready endpoints are on this node, in words."""
    return f"{node.name} has {usable.ready_here} of {usable.ready} ready endpoints"


def node_port_key(packet: Packet) -> tuple[Family, int, Protocol]:
    """How the service table files node ports."""
    return packet.destination.version, packet.port, packet.protocol
