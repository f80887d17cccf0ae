"""NetworkPolicies, as far as addresses decide: ingress rules with ipBlocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .cluster import Address, Network, Pod, Protocol
from .labels import selects


@dataclass(frozen=True, slots=True)
class IPBlock:
    """`ipBlock`: a range, without `except`."""

    cidr: Network
    excluded: tuple[Network, ...] = ()

    def holds(self, ip: Address) -> bool:
        """Whether it admits this source address."""
        return ip in self.cidr and not any(ip in part for part in self.excluded)


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """One entry of a rule's `ports`. port: a number, the name of a container port, or None for
    every port. last: `endPort`."""

    protocol: Protocol
    port: int | str | None = None
    last: int | None = None

    def holds(self, pod: Pod, number: int, protocol: Protocol) -> bool:
        """Whether it is about this port of a pod."""
        if protocol != self.protocol:
            return False
        if isinstance(self.port, str):
            ports = [p for container in pod.containers for p in container.ports]
            return (self.port, number) in {(p.name, p.port) for p in ports}
        return self.port is None or self.port <= number <= (self.last or self.port)


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One entry of `spec.ingress`. everybody: it has no `from`. Peers that are chosen by labels
    are not kept: they never are an address from outside the pods."""

    blocks: tuple[IPBlock, ...] = ()
    ports: tuple[PolicyPort, ...] = ()
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A policy of type Ingress."""

    namespace: str
    name: str
    selector: Mapping[str, Any]
    rules: tuple[IngressRule, ...] = ()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def selects(self, pod: Pod) -> bool:
        """Whether it isolates this pod."""
        return pod.namespace == self.namespace and selects(self.selector, pod.labels)

    def admits(self, source: Address, pod: Pod, port: int, protocol: Protocol) -> bool:
        """Whether a rule lets this source address in, to that port of a pod it selects."""
        return any(
            (rule.everybody or any(block.holds(source) for block in rule.blocks))
            and (not rule.ports or any(p.holds(pod, port, protocol) for p in rule.ports))
            for rule in self.rules
        )
