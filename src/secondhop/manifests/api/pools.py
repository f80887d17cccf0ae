"""What there is to allocate: node ports by number, addresses of the Service CIDRs (semantics §1.5).

Where the API server draws at random, the lowest free one of its dynamic band is taken, so that the
same input always gives the same cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Network
from itertools import chain

from ...model.cluster import Address, Network

NODE_PORTS = range(30000, 32768)


class NodePorts:
    """The bitmap of node ports: one for the cluster, by number, blind to protocols."""

    def __init__(self, numbers: range = NODE_PORTS, taken: Iterable[int] = ()) -> None:
        self.numbers = numbers
        self._taken = set(taken)

    def refusal(self, number: int) -> str:
        """Why a number cannot be had; empty when it can."""
        if number not in self.numbers:
            first, last = self.numbers[0], self.numbers[-1]
            why = "provided port is not in the valid range. The range of valid ports is"
            return f"{why} {first}-{last}"
        return self.conflict(number)

    def conflict(self, number: int) -> str:
        """Why a number cannot be had, the range aside."""
        return "provided port is already allocated" if number in self._taken else ""

    def take(self, number: int) -> None:
        """Mark a number as taken."""
        self._taken.add(number)

    def release(self, number: int) -> None:
        """Give a number back; one that is free stays free."""
        self._taken.discard(number)

    def free(self, spared: Collection[int] = (), own: Collection[int] = ()) -> int | None:
        """The lowest free number, the static band last; None when the range is full. Those spared,
        and those of the Service's own, are not offered."""
        band = min(max(16, len(self.numbers) // 32), 128, len(self.numbers))
        order = chain(self.numbers[band:], self.numbers[:band])
        free = (n for n in order if n not in self._taken and n not in spared and n not in own)
        return next(free, None)


class Addresses:
    """The clusterIPs of one Service CIDR. Its first is that of the Service `kubernetes`."""

    def __init__(self, cidr: Network) -> None:
        self.cidr = cidr
        self.family = f"IPv{cidr.version}"
        self._taken: set[Address] = set()
        self._order = self._sequence()
        self._offered: Address | None = None

    def refusal(self, ip: Address) -> str:
        """Why an address cannot be had; empty when it can."""
        if ip not in self.cidr:
            return "the provided network does not match the current range"
        last = self.cidr.version == 4 and ip == self.cidr.broadcast_address
        if ip == self.cidr.network_address or last:
            why = f"the provided IP ({ip}) is not in the valid range"
            return f"{why}. The range of valid IPs is {self.cidr}"
        return self.conflict(ip)

    def conflict(self, ip: Address) -> str:
        """Why an address cannot be had, the range aside."""
        return "provided IP is already allocated" if ip in self._taken else ""

    def take(self, ip: Address) -> None:
        """Mark an address as taken."""
        self._taken.add(ip)

    def release(self, ip: Address) -> None:
        """Give an address back; one that is free stays free."""
        self._taken.discard(ip)
        self._order, self._offered = self._sequence(), None

    def free(self, spared: Collection[Address] = ()) -> Address | None:
        """The lowest free address of the dynamic band, the static band last; None when the range
        is full. Those spared are not offered."""
        ip = self._offered
        while ip is None or ip in self._taken or ip in spared:
            ip = next(self._order, None)
            if ip is None:
                break
        self._offered = ip
        return ip

    def _sequence(self) -> Iterator[Address]:
        """Every address that may be chosen, in the order of choice."""
        size = self.cidr.num_addresses
        band = 0 if size <= 16 else min(max(16, size // 16), 256)
        last = size - 1 if isinstance(self.cidr, IPv4Network) else size
        offsets = chain(range(band + 1 if band else 2, last), range(2, band + 1))
        return (self.cidr[offset] for offset in offsets)


class Stock:
    """Everything that one cluster has to allocate; see Allocator for the arguments."""

    def __init__(self, cidrs: Sequence[Network], node_ports: range, guessed: bool) -> None:
        self.pools = [Addresses(cidr) for cidr in cidrs]
        self.families = list(dict.fromkeys(pool.family for pool in self.pools))
        self.ports = NodePorts(node_ports)
        self.guessed = guessed
        self.spared_ports: set[int] = set()
        self.spared_ips: set[Address] = set()

    def pool_of(self, ip: Address) -> Addresses | None:
        """The pool that an address is of, or would be if the ranges were wider; None when the
        cluster has no range of its family."""
        same = [pool for pool in self.pools if pool.cidr.version == ip.version]
        return next((pool for pool in same if ip in pool.cidr), same[0] if same else None)

    def release(self, ports: Iterable[int], ips: Iterable[Address]) -> None:
        """Give numbers and addresses back."""
        for number in ports:
            self.ports.release(number)
        for ip in ips:
            if pool := self.pool_of(ip):
                pool.release(ip)
