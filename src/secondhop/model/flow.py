"""A Flow: who sends, to where, entering through which node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .cluster import Address, Protocol

SourceKind: TypeAlias = Literal["client", "pod", "node", "address"]
DestinationKind: TypeAlias = Literal[
    "nodePort", "loadBalancerIP", "externalIP", "clusterIP", "healthCheckNodePort", "address"
]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a flow starts: the outside client, a pod, a node itself, or any other outside address.

    node: where the pod runs, or the node itself; None outside the cluster.
    ip: for a node, any of its addresses: the kernel picks the real one by route.
    """

    kind: SourceKind
    name: str
    ip: Address
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """What is dialled. node: whose node port or health check it is; None for the other kinds."""

    kind: DestinationKind
    address: Address
    port: int
    protocol: Protocol = "TCP"
    node: str | None = None

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Flow:
    """One connection attempt. via: the node to which the network outside delivers an address that
    belongs to no node (load balancer, external, routed cluster IP); None otherwise."""

    source: Source
    destination: Destination
    via: str | None = None

    @property
    def is_reference(self) -> bool:
        """Whether it is one of the reference experiment's: the client's to a node port."""
        return (self.source.kind, self.destination.kind) == ("client", "nodePort")


def entry_nodes(destination: Destination, vias: tuple[str | None, ...]) -> tuple[str, ...]:
    """The node through which flows to a destination by one of these vias enter the cluster; none
    where each sender's own node serves it, whatever the via."""
    entry = destination.node or (vias[0] if len(vias) == 1 else None)
    return () if entry is None else (entry,)
