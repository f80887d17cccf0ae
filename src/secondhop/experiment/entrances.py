"""Which addresses lead into a Service from where one stands, and what to expect at each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Literal, NamedTuple

from ..model.cluster import Address, Cluster, Service
from ..model.flow import Destination, Flow, Source
from ..model.probing import Prediction
from ..predict import predict


class Entrance(NamedTuple):
    """One address to dial. node: whose it is; None where the network outside decides. inner: the
    node's own address behind an ExternalIP, None for what is dialled as it is."""

    destination: Destination
    node: str | None = None
    inner: Address | None = None


def entrances(
    cluster: Cluster, service: Service, external: Mapping[str, Sequence[str]]
) -> Iterator[Entrance]:
    """Every address and TCP port by which traffic from outside may enter. external: the nodes'
    ExternalIPs, by name."""
    families = {ip.version for ip in service.cluster_ips}
    for port in service.ports:
        if port.protocol != "TCP":
            continue
        if port.node_port:
            yield from _of_nodes(cluster, "nodePort", port.node_port, families, external)
        for ip in (one.ip for one in service.ingress):
            yield Entrance(Destination("loadBalancerIP", ip, port.port))
        for ip in service.external_ips:
            yield Entrance(Destination("externalIP", ip, port.port))
    if check := service.health_check_node_port:
        yield from _of_nodes(cluster, "healthCheckNodePort", check, families, external)


def _of_nodes(
    cluster: Cluster,
    kind: Literal["nodePort", "healthCheckNodePort"],
    port: int,
    families: Collection[int],
    external: Mapping[str, Sequence[str]],
) -> Iterator[Entrance]:
    """A port of every node: at its own address of each family, and at its ExternalIPs."""
    for node in cluster.nodes:
        for family in (4, 6):
            own = node.address(family)
            if own is None or family not in families:
                continue
            yield Entrance(Destination(kind, own, port, "TCP", node.name), node.name)
            for text in external.get(node.name, ()):
                outer = ip_address(text)
                if outer.version == family and outer != own:
                    to = Destination(kind, outer, port, "TCP", node.name)
                    yield Entrance(to, node.name, own)


def sender(cluster: Cluster, own: Address) -> Source:
    """Who dials: a machine outside, or the node or pod whose address it is."""
    for node in cluster.nodes:
        if any(own == interface.ip for interface in node.addresses):
            return Source("node", node.name, own, node.name)
        if any(own in cidr for cidr in node.pod_cidrs):
            return Source("pod", str(own), own, node.name)
    return Source("client", "client", own)


def expected(cluster: Cluster, source: Source, entrance: Entrance) -> tuple[Prediction, ...]:
    """What becomes of it; through each node where nobody says to which the network brings it."""
    to = entrance.destination
    if entrance.inner is not None:
        to = replace(to, address=entrance.inner)
    vias: list[str | None] = [None]
    if entrance.node is None and source.kind == "client":
        vias = [node.name for node in cluster.nodes]
    return tuple(Prediction(via, predict(cluster, Flow(source, to, via))) for via in vias)
