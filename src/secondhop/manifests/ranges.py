"""Arithmetic of address ranges: what contains what, what is free, what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from ..model.cluster import Address, Network

POD_RANGES: tuple[Network, ...] = (IPv4Network("10.42.0.0/16"), IPv6Network("fd00:10:42::/48"))
SERVICE_RANGES: tuple[Network, ...] = (
    IPv4Network("10.43.0.0/16"),
    IPv6Network("fd00:10:43::/112"),
)
NODE_PREFIX = {4: 24, 6: 64}
"""Length of a node's pod CIDR, and of a node's own subnet, where none is said."""
_USUAL_PREFIX = {4: 16, 6: 48}


def inside(inner: Network, outer: Network) -> bool:
    """Whether a range lies in another; False across families."""
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def overlap(one: Network, other: Network) -> bool:
    """Whether two ranges share an address; False across families."""
    return inside(one, other) or inside(other, one)


def bounds(addresses: Iterable[Address]) -> list[Network]:
    """The lowest and the highest address of each family, each as a range: what holds these two
    holds all."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.version, []).append(address)
    ends = (end(family, key=int) for family in families.values() for end in (min, max))
    return [IPv4Network(ip) if ip.version == 4 else IPv6Network(ip) for ip in ends]


def probable(parts: Sequence[Network], usual: Network, taken: Iterable[Network]) -> Network:
    """The range that parts of one family were probably cut from: the usual one if it holds them
    all, else their common supernet, widened to a usual length if that touches nothing taken."""
    if all(inside(part, usual) for part in parts):
        return usual
    common = parts[0]
    while not all(inside(part, common) for part in parts):
        common = common.supernet()
    wide = common.supernet(new_prefix=min(common.prefixlen, _USUAL_PREFIX[common.version]))
    return common if any(overlap(wide, other) for other in taken) else wide


def free_parts(whole: Network, taken: Iterable[Network]) -> Iterator[Network]:
    """The parts of a node's size in the range that touch nothing taken, in their order."""
    size = max(NODE_PREFIX[whole.version], whole.prefixlen)
    family = [cidr for cidr in taken if cidr.version == whole.version]
    touched = {c if c.prefixlen < size else c.supernet(new_prefix=size) for c in family}
    lengths = {cidr.prefixlen for cidr in touched}
    parts: Iterator[Network] = iter(whole.subnets(new_prefix=size))
    for part in parts:
        if not any(part.supernet(new_prefix=length) in touched for length in lengths):
            yield part
