"""Who shares a wire outside the cluster, and the router's addresses on it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Generic, TypeVar
from zlib import crc32

from ..errors import LabError
from ..model.cluster import Address, Interface, Network

M = TypeVar("M", bound=Hashable)


@dataclass(slots=True)
class Segment(Generic[M]):
    """One wire: who is on it, and the router's address in each of its subnets."""

    members: list[M] = field(default_factory=list)
    gateways: dict[Network, Interface] = field(default_factory=dict)


def by_nic(addresses: Iterable[Interface]) -> list[tuple[Interface, ...]]:
    """A machine's addresses, NIC by NIC: the first has its first one of each family and all others
    of those subnets, and each further subnet has a NIC of its own."""
    given = list(addresses)
    first = {i.version: i.network for i in reversed(given)}
    found: dict[Network | None, tuple[Interface, ...]] = {None: ()}
    for one in given:
        network = None if one.network == first[one.version] else one.network
        found[network] = (*found.get(network, ()), one)
    return list(found.values())


def segments(members: Mapping[M, Sequence[Interface]]) -> list[Segment[M]]:
    """Machines with a subnet in common, of either family, share a wire; so do those with whom
    another one connects them. Raises LabError for a subnet without room for the router."""
    found: list[Segment[M]] = []
    taken: dict[Network, set[Address]] = {}
    for member, interfaces in members.items():
        own = Segment([member])
        for interface in interfaces:
            own.gateways[interface.network] = interface
            taken.setdefault(interface.network, set()).add(interface.ip)
        apart = [one for one in found if not one.gateways.keys() & own.gateways.keys()]
        joined = Segment[M]()
        for part in (*(one for one in found if one not in apart), own):
            joined.members += part.members
            joined.gateways |= part.gateways
        found = [*apart, joined]
    for segment in found:
        segment.gateways = {network: _free(network, taken[network]) for network in segment.gateways}
    return found


def _free(network: Network, used: Iterable[Address]) -> Interface:
    """The highest address that nobody has."""
    address = network.broadcast_address - 1
    while address in used:
        address -= 1
    if int(address) <= int(network.network_address):
        raise LabError(
            f"subnet {network} has no address left for the lab's router",
            "Give the Lab's addresses a shorter prefix, for example /24 or /64.",
        )
    return ip_interface((address, network.prefixlen))


def mac(prefix: str, address: Address) -> str:
    """A locally administered hardware address: two fixed bytes, then the IPv4 address, or what
    tells an IPv6 address from its neighbours."""
    if address.version == 4:
        return prefix + address.packed.hex()
    return f"{prefix}{crc32(address.packed):08x}"
