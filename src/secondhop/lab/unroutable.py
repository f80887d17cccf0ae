"""The router's answer to what it knows no way to: there is none.

IPv6 gives it however often it is asked. In IPv4 the kernel gives it to a sender five times at once
and then once a second (ip_rt_error_burst, which no namespace has of its own); a rule gives it
always, once there is a way for such packets to come to it.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from .iptables import Restore
from .rtnetlink import Netlink

_NAME, _INDEX = "nowhere", 9
_GATEWAY = IPv4Address("169.254.0.1")
_MAC = "020000000000"
_RULE = f"""\
*filter
-A FORWARD -o {_NAME} -j REJECT --reject-with icmp-net-unreachable
COMMIT
"""


async def answer_unroutable(router: Netlink) -> None:
    """Let the router answer so from now on. Raises LabError, EnvironmentUnable."""
    await Restore(router.namespace, _RULE).ended()
    router.bridge(_NAME, _INDEX, mac=_MAC, mtu=1500)
    router.link_up(_INDEX, _NAME)
    router.route(None, _GATEWAY, _INDEX, onlink=True)
    router.commit()
