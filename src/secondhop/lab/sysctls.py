"""The settings of a lab's namespaces that only /proc/sys takes. None is left to what a namespace
may inherit from the host."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import EnvironmentUnable
from .netns import Namespace

_FORWARDER = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/all/route_localnet": "0",  # else it would beat every device's own
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/icmp_msgs_per_sec": "100000",
    "net/ipv4/icmp_msgs_burst": "10000",
    "net/ipv4/fib_multipath_hash_policy": "1",  # by addresses and ports: the router's balancer
}
_IPV6 = {
    f"net/ipv6/conf/{which}/{key}": "0"
    for which in ("all", "default")
    for key in ("disable_ipv6", "accept_dad", "accept_ra", "accept_redirects")
}
_FORWARDING = "net/ipv6/conf/all/forwarding"
_IPV6_FORWARDER = {
    _FORWARDING: "1",
    "net/ipv6/icmp/ratelimit": "0",
    "net/ipv6/fib_multipath_hash_policy": "1",
}


def forwarder(namespace: Namespace, *, ipv6: bool) -> list[str]:
    """For the router or a node, before it has links; what could not be set. Raises
    EnvironmentUnable where IPv6 cannot be forwarded."""
    if not ipv6:
        return _write(namespace, _FORWARDER)
    unset = _write(namespace, {**_FORWARDER, **_IPV6_FORWARDER})
    with namespace, open(f"/proc/sys/{_FORWARDING}") as setting:
        forwards = setting.read().strip() == "1"
    if not forwards:
        raise EnvironmentUnable(
            "IPv6 forwarding cannot be switched on: /proc/sys is read-only here (a container?)",
            "Leave the IPv6 addresses out of the Lab, or leave the container.",
        )
    return unset


def with_ipv6(namespace: Namespace) -> list[str]:
    """For any namespace that is to have IPv6, before it has links; what could not be set. Raises
    EnvironmentUnable where the kernel has none."""
    try:
        return _write(namespace, _IPV6, needed=True)
    except FileNotFoundError:
        raise EnvironmentUnable(
            "this kernel has no IPv6 (ipv6.disable=1?)",
            "Leave the IPv6 addresses out of the Lab; `secondhop explain` predicts both families.",
        ) from None


def _write(namespace: Namespace, settings: Mapping[str, str], *, needed: bool = False) -> list[str]:
    unset = []
    with namespace:
        for key, value in settings.items():
            try:
                with open(f"/proc/sys/{key}", "w") as setting:
                    setting.write(value)
            except FileNotFoundError:
                if needed:
                    raise
                # this kernel has no such limit per namespace
            except OSError:
                unset.append(key)
    return unset
