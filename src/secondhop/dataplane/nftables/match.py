"""Pieces of a rule or an element, in the form in which `nft list` prints them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from ...model.cluster import Address, Family, Network
from ..selected import Selected

MARK = "meta mark set meta mark | 0x00004000"
"""The statement that marks a packet for masquerading."""


def family_word(family: Family) -> str:
    """nft's word for a family: of a table, and before `saddr` and `daddr`."""
    return "ip" if family == 4 else "ip6"


def comment(text: object) -> str:
    """The comment of a rule, element, set or chain."""
    return f'comment "{text}"'


def one_or_set(values: Iterable[Address | Network]) -> str:
    """One value plain, several in braces, each once and in their order."""
    unique = sorted({ip_network(value): value for value in values}.items())
    listed = ", ".join(str(value) for _, value in unique)
    return listed if len(unique) == 1 else f"{{ {listed} }}"


def dialled(selected: Selected, address: Address) -> str:
    """The key under which the maps know this service port at one of its addresses."""
    return f"{address} . {selected.protocol} . {selected.port.port}"
