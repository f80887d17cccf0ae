"""Pieces of a rule or an element, in the form in which `nft list` prints them."""

from __future__ import annotations

from ...model.cluster import Address, Family
from ..selected import Selected

MARK = "meta mark set meta mark | 0x00004000"
"""The statement that marks a packet for masquerading."""


def family_word(family: Family) -> str:
    """nft's word for a family: of a table, and before `saddr` and `daddr`."""
    return "ip" if family == 4 else "ip6"


def comment(text: object) -> str:
    """The comment of a rule, element, set or chain."""
    return f'comment "{text}"'


def one_or_set(values: list[str]) -> str:
    """One value plain, several in braces, each once."""
    unique = list(dict.fromkeys(values))
    return unique[0] if len(unique) == 1 else f"{{ {', '.join(unique)} }}"


def dialled(selected: Selected, address: Address) -> str:
    """The key under which the maps know this service port at one of its addresses."""
    return f"{address} . {selected.protocol} . {selected.port.port}"
