"""Services beside the user's own, before the same pods, that some claims need to be judged at all:
one pod alone, none, one that ends, and a way in that is no node port."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ..manifests import World
from ..model.cluster import (
    Address,
    Cluster,
    Endpoint,
    Family,
    Network,
    Policy,
    Service,
    ServicePort,
)
from ..model.flow import Destination, Flow, Source
from ..predict.matrix import node_source, pod_source
from ..predict.path import Paths
from .plan import flows

_PORT = 80


@dataclass(frozen=True, slots=True)
class Exhibits:
    """world: the input's with these Services. one: a NodePort Service of a single pod, the
    reference experiment's. nobody: of no pod at all. ending: of the same pod, which is told to
    end and serves on. inside: of type ClusterIP, with an external IP. Of the last three the policy
    is Local from the first."""

    world: World
    one: Service
    nobody: Service
    ending: Service
    inside: Service

    def plan(self, cluster: Cluster, service: Service) -> list[Flow]:
        """What is tried under each policy of `one`: its node ports from the client; and under Local
        from where it is not, and the other Services."""
        now = next(each for each in cluster.services if str(each) == str(service))
        found = flows(cluster, service)
        if now.external_traffic_policy == "Cluster":
            return found
        others = [*flows(cluster, self.nobody), *flows(cluster, self.ending)]
        return [*found, *self._from_inside(cluster), *others, *self._outside(cluster)]

    @property
    def home(self) -> Endpoint:
        """The only one of `one`."""
        [endpoint] = self.world.cluster.endpoints[self.one.port_name(self.one.ports[0])]
        return endpoint

    def _from_inside(self, cluster: Cluster) -> Iterator[Flow]:
        """From nodes without the pod, and from pods there, to their own node's port."""
        version = self.one.cluster_ips[0].version
        taken = Paths(cluster).pod_addresses
        for node in cluster.nodes:
            address = node.address(version)
            if node.name == self.home.node or address is None:
                continue
            port = Destination("nodePort", address, self.one.ports[0].node_port, "TCP", node.name)
            for source in (pod_source(node, version, taken), node_source(node, version)):
                if source is not None:
                    yield Flow(source, port)

    def _outside(self, cluster: Cluster) -> Iterator[Flow]:
        """From the client to the external IP, by each node, and to the cluster IP."""
        address = self.inside.external_ips[0]
        [client] = [i.ip for i in cluster.client if i.version == address.version]
        source = Source("client", "client", client)
        for node in cluster.nodes:
            yield Flow(source, Destination("externalIP", address, _PORT), node.name)
        yield Flow(source, Destination("clusterIP", self.inside.cluster_ips[0], _PORT))


def exhibits(world: World, service: Service, port: ServicePort, version: Family) -> Exhibits | None:
    """Those for a port of a Service in one family; None where it has no ready endpoint."""
    cluster = world.cluster
    ready = [e for e in cluster.endpoints_of(service, port, version) if e.ready]
    machines = {i.ip for node in cluster.nodes for i in node.addresses}
    if not ready:
        return None
    home = next((e for e in ready if e.address not in machines), ready[0])
    free = _Free(world, version)
    one = Service(
        service.namespace,
        "secondhop-one",
        (ServicePort("", "TCP", _PORT, free.node_port()),),
        "NodePort",
        (free.cluster_ip(),),
    )
    local: Policy = "Local"
    nobody, ending = (
        replace(
            one,
            name=f"secondhop-{name}",
            ports=(ServicePort("", "TCP", _PORT, free.node_port()),),
            cluster_ips=(free.cluster_ip(),),
            external_traffic_policy=local,
        )
        for name in ("nobody", "ending")
    )
    inside = Service(
        service.namespace,
        "secondhop-inside",
        (ServicePort("", "TCP", _PORT),),
        "ClusterIP",
        (free.cluster_ip(),),
        (free.external_ip(),),
    )
    ends = replace(home, ready=False, serving=True, terminating=True)
    behind = {one: (home,), nobody: (), ending: (ends,), inside: tuple(ready)}
    endpoints = {**cluster.endpoints}
    endpoints |= {each.port_name(each.ports[0]): found for each, found in behind.items()}
    services = (*cluster.services, *behind)
    placed = replace(cluster, services=services, endpoints=endpoints)
    return Exhibits(replace(world, cluster=placed), one, nobody, ending, inside)


class _Free:
    """Addresses of one family and node ports that nobody has."""

    def __init__(self, world: World, version: Family) -> None:
        cluster = world.cluster
        ports = {port.node_port for each in cluster.services for port in each.ports}
        ports |= {each.health_check_node_port for each in cluster.services}
        free = (port for port in range(32767, 29999, -1) if port not in ports)
        taken = {ip for each in cluster.services for ip in (*each.cluster_ips, *each.external_ips)}
        taken |= {ingress.ip for each in cluster.services for ingress in each.ingress}
        pools = [n for n in world.lab.balancer.pool if n.version == version]
        ranges = [n for n in cluster.cni.service_cidrs if n.version == version]
        self.node_port = free.__next__
        self.cluster_ip = _unused(ranges[0], taken).__next__
        self.external_ip = _unused(pools[0], taken).__next__


def _unused(network: Network, taken: Collection[Address]) -> Iterator[Address]:
    """From its end, where nobody is given any so soon."""
    return (network[-n] for n in range(2, network.num_addresses) if network[-n] not in taken)
