"""Rows as a prediction would give them, in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import Literal

from secondhop.model.cluster import Cluster, Node, Service, ServicePort
from secondhop.model.fate import Backend, Fate, HealthAnswer, Outcome
from secondhop.model.flow import Destination, DestinationKind, Source, entry_nodes

CLIENT = Source("client", "client", ip_address("192.168.22.2"))
SERVICE = Service("default", "web", (ServicePort("", "TCP", 80, 30080),), "NodePort")
PORTS = {"nodePort": 30080, "healthCheckNodePort": 30999}


@dataclass(frozen=True)
class FakeRow:
    """Has what report asks of a row, and nothing else."""

    service: Service
    sources: tuple[Source, ...]
    destination: Destination
    vias: tuple[str | None, ...]
    outcome: Outcome

    @property
    def entries(self) -> tuple[str, ...]:
        return entry_nodes(self.destination, self.vias)


def cluster(size: int) -> Cluster:
    """Nodes n0, n1, … with a pod CIDR each."""
    nodes = tuple(
        Node(f"n{k}", (ip_interface(f"10.1.0.{k + 1}/24"),), (ip_network(f"10.50.{k}.0/24"),))
        for k in range(size)
    )
    return Cluster(nodes, client=(ip_interface("192.168.22.2/24"),), services=(SERVICE,))


def outcome(
    *sees: str,
    fate: Fate = Fate.DELIVERED,
    client_ip: Literal["kept", "replaced"] | None = "replaced",
    on: Sequence[str] = ("n0",),
    health: HealthAnswer | None = None,
) -> Outcome:
    """A pod on each of these nodes, the k-th seeing the k-th address."""
    backends = tuple(
        Backend(f"web-{node}", node, f"{node}:80", 1 / len(sees), ip_address(ip), 1)
        for node, ip in zip(on, sees, strict=False)
    )
    return Outcome(fate, f"because of {fate}", client_ip if sees else None, backends, (), health)


def row(
    node: int,
    what: Outcome,
    *,
    kind: DestinationKind = "nodePort",
    sources: tuple[Source, ...] = (CLIENT,),
    service: Service = SERVICE,
) -> FakeRow:
    """From the client through one node."""
    own = kind in PORTS
    address = ip_address(f"10.1.0.{node + 1}" if own else "203.0.113.10")
    to = Destination(kind, address, PORTS.get(kind, 80), "TCP", f"n{node}" if own else None)
    return FakeRow(service, sources, to, (None,) if own else (f"n{node}",), what)
