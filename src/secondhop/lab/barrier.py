"""The readiness barrier: every veth operationally up, every bridge port forwarding, every bridge
that has ports up as well, and every IPv6 address in force.

Without it a few runs in a hundred lose their first packet and pay a second. A bridge that was set
up before its first port came drops what it is to send until its own carrier event has run; that
takes microseconds then, but up to a second for one set up later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Iterable, Mapping, Sequence

from ..errors import LabError
from .rtnetlink import OPERSTATE_UP, PORT_FORWARDING, Netlink

_SECONDS = 10.0


def wait(netlinks: Sequence[Netlink]) -> None:
    """Wait for all links of a lab. Raises LabError after ten seconds."""
    deadline = time.monotonic() + _SECONDS
    while netlinks := [netlink for netlink in netlinks if _unready(netlink)]:
        if time.monotonic() > deadline:
            raise _not_up(netlinks)
        time.sleep(0.0002)


async def plugged(cable: Mapping[Netlink, Container[str]]) -> None:
    """Wait for a few links, by their names in each namespace. Raises LabError after ten seconds."""
    deadline = time.monotonic() + _SECONDS
    while any(_unready(netlink, names) for netlink, names in cable.items()):
        if time.monotonic() > deadline:
            raise _not_up(cable)
        await asyncio.sleep(0.0005)


def _unready(netlink: Netlink, only: Container[str] | None = None) -> list[str]:
    """The links, of those that are of interest, over which nothing goes yet, and the addresses
    for which nothing is received."""
    links = netlink.links()
    with_ports = {link.bridge for link in links}
    return netlink.deaf() + [
        link.name
        for link in links
        if (only is None or link.name in only)
        and (
            (link.operstate != OPERSTATE_UP and (link.kind == "veth" or link.number in with_ports))
            or link.port_state not in (None, PORT_FORWARDING)
        )
    ]


def _not_up(waiting: Iterable[Netlink]) -> LabError:
    names = ", ".join(f"{netlink.namespace.name}: {_unready(netlink)}" for netlink in waiting)
    return LabError(
        f"links did not come up within {_SECONDS:.0f} s ({names})",
        "Run `secondhop doctor`; if it finds nothing, try again on a quieter machine.",
    )
