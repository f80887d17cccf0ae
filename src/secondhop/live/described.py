"""What was inferred of a cluster, in the words of a Lab document."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from ..manifests.ranges import SERVICE_RANGES, overlap
from .network import PodNetwork
from .proxy import Proxy


def described(proxy: Proxy, network: PodNetwork) -> dict[str, Any]:
    """The sections of a Lab document that say the same; none for what was only assumed."""
    found: dict[str, Any] = {}
    if network.sureness != "assumed" or proxy.pod_ranges:
        found["network"] = {"backend": network.backend}
        if ranges := _ranges(proxy.pod_ranges):
            found["network"]["podCIDRs"] = ranges
    if proxy.modelled and (proxy.sureness != "assumed" or proxy.node_port_addresses):
        found["proxy"] = {"mode": proxy.mode}
        if proxy.node_port_addresses:
            found["proxy"]["nodePortAddresses"] = list(proxy.node_port_addresses)
    return found


def _ranges(texts: Sequence[str]) -> list[str]:
    """One of each family, unless it holds the usual Service range too: the pods tell more then."""
    found: dict[int, str] = {}
    for text in texts:
        try:
            whole = ip_network(text)
        except ValueError:
            return []
        if any(overlap(whole, services) for services in SERVICE_RANGES):
            return []
        found.setdefault(whole.version, text)
    return list(found.values())
