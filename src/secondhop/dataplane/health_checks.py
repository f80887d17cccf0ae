"""The health checks of Services that a node answers (semantics §6.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..model.cluster import Address, Cluster, Family, Node
from .node_ports import listening_addresses
from .selected import selected_ports


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One Service's healthCheckNodePort on one node. address: where it listens, one of several;
    None for every address of the family. endpoints: the ready ones here, by their addresses."""

    namespace: str
    service: str
    family: Family
    address: Address | None
    port: int
    endpoints: int


def health_checks(cluster: Cluster, node: Node, family: Family) -> list[HealthCheck]:
    """What the node's proxy of one family listens for: one for each Service and address."""
    asked = tuple(s for s in cluster.services if s.health_check_node_port)
    ready: dict[tuple[str, str, int], set[Address]] = {}
    for selected in selected_ports(replace(cluster, services=asked), node, family):
        if port := selected.health_check_port:
            mine = ready.setdefault(
                (selected.service.namespace, selected.service.name, port), set()
            )
            mine |= {endpoint.address for endpoint in selected.local if endpoint.ready}
    every = listening_addresses(cluster, node, family) if ready else []
    return [
        HealthCheck(namespace, name, family, address, port, len(found))
        for (namespace, name, port), found in ready.items()
        for address in every
    ]
