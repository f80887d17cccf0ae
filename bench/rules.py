#!/usr/bin/env python3
"""One node's rules in the kernel: the first load, then one Service's policy switched, both modes.

K NodePort Services of 5 endpoints, half of them here, in a user namespace of its own with the
default socket buffer, as every user has it. Run it by `make bench`; writes nothing.
`bench/rules.py K...` measures other sizes, in nftables mode only: iptables-nft takes minutes there.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

from sandboxed import sandboxed

from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.model.cluster import (
    Cluster,
    Cni,
    Endpoint,
    Node,
    Policy,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
    ServicePortName,
)

SIZES: dict[ProxyMode, list[int]] = {"iptables": [20, 62], "nftables": [20, 62, 1000]}
ENDPOINTS, SWITCHES = 5, 20
PODS = ip_network("10.42.0.0/16")
NODE = Node("node", (ip_interface("192.168.8.1/24"),), (ip_network("10.42.0.0/17"),))


def cluster(mode: ProxyMode, count: int) -> Cluster:
    services = tuple(
        Service(
            "default",
            f"web-{k}",
            (ServicePort("", "TCP", 80, 30000 + k),),
            "NodePort",
            (ip_address("10.96.0.0") + k,),
        )
        for k in range(count)
    )

    def endpoints(k: int) -> tuple[Endpoint, ...]:
        first = IPv4Address("10.42.0.2") + k * ENDPOINTS
        names = ("node", "other")
        return tuple(Endpoint(first + i, 80, "", names[i % 2]) for i in range(ENDPOINTS))

    return Cluster(
        (NODE,),
        services=services,
        endpoints={
            ServicePortName("default", f"web-{k}", "", "TCP"): endpoints(k) for k in range(count)
        },
        cni=Cni(pod_cidrs=(PODS,), service_cidrs=(ip_network("10.96.0.0/12"),)),
        proxy=Proxy(mode, detect_local=(PODS,)),
    )


def switched(of: Cluster, number: int) -> Cluster:
    """The last Service under the other policy."""
    *others, last = of.services
    policy: Policy = "Cluster" if number % 2 else "Local"
    return replace(of, services=(*others, replace(last, external_traffic_policy=policy)))


async def measure(of: Cluster) -> list[float]:
    """Seconds of the first load and of each switch."""
    proxy = NodeProxy(Namespace.create("node"), lambda packet, refusal: None)
    times = []
    for state in [of, *(switched(of, number) for number in range(SWITCHES))]:
        start = time.perf_counter()
        await proxy.sync(state)
        times.append(time.perf_counter() - start)
    return times


def seconds(of: Cluster) -> list[float]:
    """What `measure` finds in a sandbox."""
    found: list[float] = sandboxed(lambda: asyncio.run(measure(of)))
    return found


def main() -> None:
    sizes = SIZES
    if asked := [int(k) for k in sys.argv[1:]]:
        sizes = {"nftables": asked}
    print(f"one node, Services x {ENDPOINTS} endpoints; ms: first load, a switch's median and most")
    for mode, counts in sizes.items():
        for count in counts:
            first, *rest = (1000 * one for one in seconds(cluster(mode, count)))
            median, most = statistics.median(rest), max(rest)
            print(f"{mode:10}{count:6} x {ENDPOINTS} {first:9.1f} {median:8.1f} {most:8.1f}")


if __name__ == "__main__":
    main()
