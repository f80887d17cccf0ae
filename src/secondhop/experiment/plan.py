"""What the experiment asks: through each node's address, under each policy, from the client."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..manifests.api.view import accessible
from ..model.cluster import Cluster, Node, Policy, Protocol, Service
from ..model.flow import Destination, Flow, Source

BOTH: tuple[Policy, Policy] = ("Cluster", "Local")
SENT: tuple[Protocol, ...] = ("TCP", "UDP")
"""What the lab can send."""


def policies(service: Service) -> tuple[Policy, ...]:
    """Both, the Service's own first: that is what stands there before the first patch. Only its own
    where no traffic from outside is for it, and the API would refuse the other."""
    own = service.external_traffic_policy
    if not accessible(service.type, bool(service.external_ips)):
        return (own,)
    return (own, *(policy for policy in BOTH if policy != own))


def flows(cluster: Cluster, service: Service) -> list[Flow]:
    """One flow from the client to each node port on each node, in each family that client, Service
    and node have; nodes with pods first.

    Raises UsageError if no outside traffic can enter by a node port.
    """
    ports = [port for port in service.ports if port.node_port and port.protocol in SENT]
    if not ports or service.type == "ExternalName":
        raise _no_way_in(service)
    clients = [i.ip for i in cluster.client if service.cluster_ip(i.version)]
    found = [
        Flow(
            Source("client", "client", client),
            Destination("nodePort", address, port.node_port, port.protocol, node.name),
        )
        for port in ports
        for client in clients
        for node in _pods_first(cluster, service)
        if (address := node.address(client.version))
    ]
    if not found:
        families = " and ".join(f"IPv{ip.version}" for ip in service.cluster_ips) or "no cluster IP"
        raise UsageError(
            f"Service {service} has {families}, and there is no family that it shares with the"
            " client and a node",
            "Give the client and the nodes an address of that family in a Lab file, or change"
            " spec.ipFamilies.",
        )
    return found


def everything(cluster: Cluster, service: Service) -> list[Flow]:
    """Every source to every destination of a Service, as `explain --all` tells them."""
    from ..predict.matrix import cells  # the usual plan needs none of it

    current = next(one for one in cluster.services if str(one) == str(service))
    found = (cell.flow for cell in cells(cluster, [current]))
    return [flow for flow in found if flow.destination.protocol in SENT]


def _no_way_in(service: Service) -> UsageError:
    others = ", ".join(f"{p.node_port}/{p.protocol}" for p in service.ports if p.node_port)
    if others and service.type != "ExternalName":
        return UsageError(
            f"Service {service} has only {others}, and the lab sends {' and '.join(SENT)}",
            "`secondhop explain` predicts the other protocols.",
        )
    return UsageError(
        f"Service {service} (type {service.type}) has no node port: nothing enters it from outside",
        "Set spec.type to NodePort or LoadBalancer, or name another Service with svc/NAME.",
    )


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
