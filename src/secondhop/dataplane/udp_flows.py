"""Which UDP flows of a node go where nobody serves any more (semantics §5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..model.cluster import Address, Cluster, Endpoint, Family, ServicePortName
from .selected import selected_ports

Place = tuple[Address, int]
"""An address and a port."""


@dataclass(frozen=True, slots=True)
class Served:
    """UDP destinations that somebody serves, each with who does; a node port on any address."""

    addresses: Mapping[Place, frozenset[Place]]
    node_ports: Mapping[int, frozenset[Place]]

    def stale(self, dialled: Place, answers: Place) -> bool:
        """Whether a flow to `dialled`, which `answers` replies to, is to be forgotten. One that was
        never translated answers from where it was dialled."""
        for serving in self.addresses.get(dialled), self.node_ports.get(dialled[1]):
            if serving and answers not in serving:
                return True
        return False


def served(cluster: Cluster, family: Family) -> Served:
    """Of every UDP service port that has a serving endpoint, ready or not, wherever it is."""
    udp = tuple(s for s in cluster.services if any(p.protocol == "UDP" for p in s.ports))
    addresses: dict[Place, frozenset[Place]] = {}
    node_ports: dict[int, frozenset[Place]] = {}
    for one in selected_ports(replace(cluster, services=udp), cluster.nodes[0], family):
        every = cluster.endpoints_of(one.service, one.port, family)
        serving = frozenset((e.address, e.port) for e in every if e.serving)
        if one.port.protocol != "UDP" or not serving:
            continue
        for ip in (one.cluster_ip, *one.load_balancer_ips, *one.external_ips):
            addresses[ip, one.port.port] = serving
        if one.port.node_port:
            node_ports[one.port.node_port] = serving
    return Served(addresses, node_ports)


def changed_endpoints(
    old: Mapping[ServicePortName, tuple[Endpoint, ...]],
    new: Mapping[ServicePortName, tuple[Endpoint, ...]],
) -> bool:
    """Whether the endpoints of a Service differ that has a UDP port."""
    names = old.keys() | new.keys()
    udp = {(name.namespace, name.service) for name in names if name.protocol == "UDP"}
    if not udp:
        return False
    mine = (name for name in names if (name.namespace, name.service) in udp)
    return any(old.get(name, ()) != new.get(name, ()) for name in mine)
