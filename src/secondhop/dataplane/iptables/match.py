"""Pieces of a rule, in the form and order in which iptables-save prints them."""

from __future__ import annotations

from ...model.cluster import Address
from ..selected import Selected


def comment(text: str) -> str:
    """A rule's comment."""
    return f'-m comment --comment "{text}"'


def host(address: Address) -> str:
    """One address as a network."""
    return f"{address}/{address.max_prefixlen}"


def dialled(selected: Selected, address: Address, says: str) -> str:
    """What dials this service port at one of its addresses."""
    protocol = selected.protocol
    return (
        f"-d {host(address)} -p {protocol} {comment(says)}"
        f" -m {protocol} --dport {selected.port.port}"
    )
