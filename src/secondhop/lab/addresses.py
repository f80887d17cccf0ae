"""The addresses that a node has for its pods."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from ..errors import ApiError
from ..model.cluster import Node

WISH = "secondhop/pod-ip"
"""Annotation of a pod: the address it is to have."""
_FIRST = 2  # after the base address, flannel.1's, and the first, cni0's


class Addresses:
    """The free pod addresses of a node: each in turn, so that one that was given back is not used
    again at once."""

    def __init__(self, node: Node) -> None:
        cidr = next(c for c in node.pod_cidrs if isinstance(c, IPv4Network))
        self._first = int(cidr.network_address) + _FIRST
        self._count = cidr.num_addresses - _FIRST - 1
        self._next = 0
        self._taken: set[IPv4Address] = set()

    def take(self) -> IPv4Address:
        """A free one. Raises ApiError if there is none."""
        for _ in range(self._count):
            address = IPv4Address(self._first + self._next)
            self._next = (self._next + 1) % self._count
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise ApiError(500, "InternalError", "no pod address is left on this node")

    def wish(self, address: IPv4Address) -> IPv4Address:
        """That very one, whoever has it."""
        self._taken.add(address)
        return address

    def give_back(self, address: IPv4Address) -> None:
        """It is free again."""
        self._taken.discard(address)
