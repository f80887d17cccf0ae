"""Connection tracking of a namespace by ctnetlink: which UDP flows there are, and their end.

Numbers are those of <linux/netfilter/nfnetlink_conntrack.h>.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from ..dataplane.udp_flows import Place, Served
from ..model.cluster import Family
from .netlink import Netfilter, attribute, attributes
from .netns import FAMILIES, Namespace

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_ORIGINAL, _REPLY, _ID = 1, 2, 12
_IP, _PROTOCOL = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_SOURCE: dict[Family, int] = {4: 1, 6: 3}
_DESTINATION: dict[Family, int] = {4: 2, 6: 4}
_NESTED = 0x8000


class UdpFlow(NamedTuple):
    """One entry. dialled: the original destination; answers: the source of replies; key: what the
    kernel knows it by."""

    dialled: Place
    answers: Place
    key: bytes


def forget_stale(namespace: Namespace, family: Family, served: Served) -> None:
    """Delete the UDP entries that lead where nobody serves any more; what cannot be listed or
    deleted stays, as with kube-proxy (semantics §5.5)."""
    netfilter = Netfilter(namespace)
    with netfilter.socket, contextlib.suppress(OSError):
        for flow in list(udp_flows(netfilter, family)):
            if served.stale(flow.dialled, flow.answers):
                with contextlib.suppress(OSError):  # it has ended by itself
                    netfilter.request(_DELETE, flow.key, family=FAMILIES[family])


def udp_flows(netfilter: Netfilter, family: Family) -> Iterator[UdpFlow]:
    """All there are. Raises OSError if the kernel refuses."""
    for body in netfilter.dump(_GET, family=FAMILIES[family]):
        found = attributes(body)
        original = attributes(found[_ORIGINAL])
        protocol = attributes(original[_PROTOCOL])
        if protocol[_NUMBER][0] != socket.IPPROTO_UDP:
            continue
        reply = attributes(found[_REPLY])
        ports = attributes(reply[_PROTOCOL])
        yield UdpFlow(
            _place(original[_IP], _DESTINATION[family], protocol[_DESTINATION_PORT]),
            _place(reply[_IP], _SOURCE[family], ports[_SOURCE_PORT]),
            attribute(_ORIGINAL | _NESTED, found[_ORIGINAL]) + attribute(_ID, found[_ID]),
        )


def _place(addresses: bytes, which: int, port: bytes) -> Place:
    return ip_address(attributes(addresses)[which]), int.from_bytes(port[:2], "big")
