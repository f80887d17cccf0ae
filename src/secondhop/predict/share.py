"""The share of a balancer's connections that each pod gets, and the share that is lost (§5.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..model.cluster import Address, Cluster, Endpoint, Ingress, Node, Service
from ..model.fate import Fate, HealthAnswer, Outcome
from ..model.flow import Destination, Flow, Source
from ..model.share import Share
from .balancers import Balancer
from .path import Paths
from .services import FAMILIES, Target, has_health_check
from .story import outcome
from .verdict import Packet

BALANCERS_OWN = "the balancer's"


def shares(cluster: Cluster, service: Service, balancer: Balancer) -> tuple[Share, ...]:
    """For each port and family by which the balancer can send: one Share, or one for each node
    that may hold the address. Empty where the Service has no entry that the balancer could use."""
    if balancer.typed and service.type != "LoadBalancer":
        return ()
    if balancer.node_addresses:
        return tuple(lending(cluster, service, balancer).shares())
    return tuple(Sender(Paths(cluster), service, balancer).shares())


def lending(cluster: Cluster, service: Service, balancer: Balancer) -> Sender:
    """A balancer that lends the nodes' own addresses to the Service."""
    own = replace(service, ingress=tuple(_own_addresses(cluster, service, balancer)))
    services = tuple(own if s == service else s for s in cluster.services)
    return Sender(Paths(replace(cluster, services=services)), own, balancer)


def _own_addresses(cluster: Cluster, service: Service, balancer: Balancer) -> Iterator[Ingress]:
    """What a controller that lends the nodes' addresses to the Service writes in its status."""
    watching = Watching(cluster, service, balancer)
    for node in filter(watching.sees, cluster.nodes):
        for family in FAMILIES:
            if (address := node.address(family)) is not None:
                yield Ingress(address)


class Watching:
    """The nodes that a balancer's controller takes into account at all for a Service, by what it
    watches of the cluster itself; health checks come later."""

    def __init__(self, cluster: Cluster, service: Service, balancer: Balancer):
        self._balancer = balancer
        self._homes: set[str | None] | None = None
        self._nobody = False
        if balancer.watches in ("nothing", "health checks"):
            return
        serving = balancer.watches == "serving endpoints"
        found = [e for e in _endpoints(cluster, service) if e.ready or (serving and e.serving)]
        if service.external_traffic_policy == "Local":
            self._homes = {e.node for e in found}
        else:
            self._nobody = serving and not found

    def sees(self, node: Node) -> bool:
        """Whether it takes the node into account."""
        if self._nobody or (self._balancer.heeds_exclusion and node.excluded):
            return False
        return self._homes is None or node.name in self._homes


def _endpoints(cluster: Cluster, service: Service) -> Iterator[Endpoint]:
    for port in service.ports:
        yield from cluster.endpoints.get(service.port_name(port), ())


class Sender:
    """A balancer in front of one Service of a cluster."""

    def __init__(self, paths: Paths, service: Service, balancer: Balancer):
        self.cluster, self.service, self.balancer = paths.cluster, service, balancer
        self.watching = Watching(self.cluster, service, balancer)
        self.paths = paths
        self.clients: dict[int, Address] = {i.version: i.ip for i in self.cluster.client}

    def shares(self) -> Iterator[Share]:
        """Every port by which it can send."""
        for target in self.targets():
            yield from self._of_port(target)

    def targets(self) -> Iterator[Target]:
        """Every service port in every family that client and Service have in common."""
        for family in FAMILIES:
            if family not in self.clients or self.service.cluster_ip(family) is None:
                continue
            for port in self.service.ports:
                target = Target(self.cluster, self.service, port, family)
                if target.vips or port.node_port:
                    yield target

    def through(self, target: Target) -> Iterator[tuple[Node, Outcome, float]]:
        """What becomes of connections through each node that it sees, and the node's weight."""
        for node in filter(self.watching.sees, self.cluster.nodes):
            flow = self._entering(target, node)
            if flow is not None:
                told = outcome(self.paths.walk(flow))
                yield node, told, self.weight(target, node, told)

    def _of_port(self, target: Target) -> Iterator[Share]:
        through = list(self.through(target))
        told = {node.name: found for node, found, _ in through}
        weights = {node.name: weight for node, _, weight in through}
        total = sum(weights.values())
        if not total:
            yield Share(target.port, target.family, unsent=1.0)
            return
        entries = {name: weight / total for name, weight in weights.items() if weight}
        if not self.balancer.one_node:
            yield self._share(target, None, entries, told)
            return
        for name in entries:
            yield self._share(target, name, {name: 1.0}, told)

    def _entering(self, target: Target, node: Node) -> Flow | None:
        """A connection that the balancer sends to this node: to a load balancer IP that kube-proxy
        serves, if it hands on what it gets, else to the node port; None if the node has neither."""
        port, own = target.port, node.address(target.family)
        source = Source("client", "client", self.clients[target.family])
        vips = (own,) if self.balancer.node_addresses else target.vips
        if vips and vips[0] is not None and not self.balancer.proxies:
            vip = Destination("loadBalancerIP", vips[0], port.port, port.protocol)
            return Flow(source, vip, node.name)
        if own is None or not port.node_port or self.balancer.node_addresses:
            return None
        return Flow(source, Destination("nodePort", own, port.node_port, port.protocol, node.name))

    def weight(self, target: Target, node: Node, told: Outcome) -> float:
        """How much of the whole a node that is seen gets, relative to the others (§6.3)."""
        if self.balancer.watches != "health checks":
            return 1.0
        if not target.external_local:
            draining = self.cluster.kube_version.has("draining /healthz")
            return 0.0 if node.deleting and draining else 1.0
        if not has_health_check(self.service):
            return 1.0 if told.fate is Fate.DELIVERED else 0.0
        check = self.health(target, node)
        if check is None or check.status != 200:
            return 0.0
        by_weight = self.balancer.weighted and self.cluster.kube_version.has(
            "endpoint weight header"
        )
        return float(check.local_endpoints) if by_weight else 1.0

    def health(self, target: Target, node: Node) -> HealthAnswer | None:
        """What the node's healthCheckNodePort answers; None if it does not listen."""
        address = node.address(target.family)
        if address is None:
            return None
        port = self.service.health_check_node_port
        packet = Packet(self.clients[target.family], address, port, "TCP")
        return self.paths.proxy.health(node, packet)

    def _share(
        self,
        target: Target,
        holder: str | None,
        entries: Mapping[str, float],
        told: Mapping[str, Outcome],
    ) -> Share:
        pods: dict[str, float] = defaultdict(float)
        lost: dict[Fate, float] = defaultdict(float)
        sources: dict[str, None] = {}
        for name, weight in entries.items():
            for backend in told[name].backends:
                pods[backend.pod or backend.address] += weight * backend.share
                sources[self._seen(backend.source_ip)] = None
            fate = told[name].fate
            if fate is not Fate.DELIVERED:
                # Of a mixed fate, the rest waits in vain for answers that find no way back.
                cause = Fate.DROPPED if fate is Fate.MIXED else fate
                lost[cause] += weight * (1 - sum(b.share for b in told[name].backends))
        return Share(
            target.port, target.family, holder, entries, dict(pods), dict(lost), 0.0, tuple(sources)
        )

    def _seen(self, source: Address) -> str:
        """The client of our flows stands for a proxying balancer."""
        stands_in = self.balancer.proxies and source in self.clients.values()
        return BALANCERS_OWN if stands_in else str(source)
