"""What the experiment asks: through each node's address, under each policy, from the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import UsageError
from ..lab.images import is_whoami
from ..model.cluster import Cluster, Node, Policy, Service
from ..model.flow import Destination, Flow, Source

BOTH: tuple[Policy, Policy] = ("Cluster", "Local")


def policies(service: Service) -> tuple[Policy, ...]:
    """Both, the Service's own first: that is what stands there before the first patch."""
    own = service.external_traffic_policy
    return (own, *(policy for policy in BOTH if policy != own))


def flows(cluster: Cluster, service: Service) -> list[Flow]:
    """One flow from the client to each TCP node port on each node, nodes with pods first.

    Raises UsageError if no outside traffic can enter by a node port.
    """
    ports = [port for port in service.ports if port.node_port and port.protocol == "TCP"]
    client = next((i.ip for i in cluster.client if i.version == 4), None)
    if not ports:
        raise _no_way_in(service)
    if client is None:
        raise UsageError(
            "the Lab's client has no IPv4 address", "Set client.address in the Lab file."
        )
    source = Source("client", "client", client)
    return [
        Flow(source, Destination("nodePort", address, port.node_port, "TCP", node.name))
        for port in ports
        for node in _pods_first(cluster, service)
        if (address := node.address(4))
    ]


def _no_way_in(service: Service) -> UsageError:
    others = ", ".join(f"{p.node_port}/{p.protocol}" for p in service.ports if p.node_port)
    if others:
        return UsageError(
            f"Service {service} has no TCP node port, only {others}, and the lab sends TCP",
            "`secondhop explain` predicts the other protocols.",
        )
    return UsageError(
        f"Service {service} (type {service.type}) has no node port: nothing enters it from outside",
        "Set spec.type to NodePort or LoadBalancer, or name another Service with svc/NAME.",
    )


def limits(cluster: Cluster, service: Service) -> Iterator[str]:
    """What the lab does not do, or does in its own way, with this Service."""
    behind = {e.address for p in service.ports for e in cluster.endpoints_of(service, p, 4)}
    images = {c.image for pod in cluster.pods if behind & {*pod.addresses} for c in pod.containers}
    if played := sorted(image for image in images if not is_whoami(image)):
        yield (
            f"{', '.join(played)}: played by whoami on the ports that containers, probes or the"
            " Service name; whether the real program listens there is not looked at"
        )
    if elsewhere := [*(i.ip for i in service.ingress), *service.external_ips]:
        addresses = ", ".join(map(str, elsewhere))
        yield f"{addresses}: not tried, only node ports are; `secondhop explain` predicts them"
    for port in service.ports:
        if port.node_port and port.protocol != "TCP":
            yield f"{port.node_port}/{port.protocol}: not tried, the lab sends TCP"


def _pods_first(cluster: Cluster, service: Service) -> Sequence[Node]:
    """The nodes in their order, those that hold a ready endpoint of the Service before the others:
    one dials first where the pod is."""
    holding = {
        endpoint.node
        for port in service.ports
        for endpoint in cluster.endpoints.get(service.port_name(port), ())
        if endpoint.ready
    }
    return sorted(cluster.nodes, key=lambda node: node.name not in holding)
