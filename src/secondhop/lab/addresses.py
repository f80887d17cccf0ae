"""The addresses that a node has for its pods."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from ..errors import ApiError
from ..model.cluster import Address, Network, Node

WISH = "secondhop/pod-ips"
"""Annotation of a pod: the addresses it is to have, with commas between them."""
_FIRST = 2  # after the base address, flannel's, and the first, cni0's


class Addresses:
    """The free pod addresses of a node, one of each family for a pod."""

    def __init__(self, node: Node) -> None:
        self._pools = [_Pool(cidr) for cidr in node.pod_cidrs]

    def take(self) -> tuple[Address, ...]:
        """Free ones. Raises ApiError if there are none."""
        taken: list[Address] = []
        try:
            for pool in self._pools:
                taken.append(pool.take())
        except ApiError:
            self.give_back(taken)
            raise
        return tuple(taken)

    def wish(self, text: str) -> tuple[Address, ...]:
        """Those very ones, whoever has them."""
        addresses = tuple(map(ip_address, text.split(",")))
        for pool in self._pools:
            pool.taken |= {address for address in addresses if address in pool.cidr}
        return addresses

    def give_back(self, addresses: Iterable[Address]) -> None:
        """They are free again."""
        for pool in self._pools:
            pool.taken -= set(addresses)


class _Pool:
    """The addresses of one range: each in turn, so that one that was given back is not used again
    at once."""

    def __init__(self, cidr: Network) -> None:
        self.cidr = cidr
        self._count = cidr.num_addresses - _FIRST - 1
        self._next = 0
        self.taken: set[Address] = set()

    def take(self) -> Address:
        for _ in range(self._count):
            address = self.cidr[_FIRST + self._next]
            self._next = (self._next + 1) % self._count
            if address not in self.taken:
                self.taken.add(address)
                return address
        raise ApiError(500, "InternalError", "no pod address is left on this node")
