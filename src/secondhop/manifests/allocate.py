"""What the API server allocates to Services: clusterIPs, node ports, health check node ports.

Where the API server draws at random, the lowest free number of its dynamic band is taken
(semantics §1.5), so that the same input always gives the same cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import chain

from ..model.cluster import Address, Network, Service, ServicePort
from .problems import Path, invalid
from .resource import Resource
from .services import Declared

NODE_PORTS = range(30000, 32768)
_STATIC_BAND = 86


class NodePorts:
    """The bitmap of node ports: one for the cluster, by number, blind to protocols."""

    def __init__(self, taken: Iterable[int] = ()) -> None:
        self._taken = set(taken)

    def claim(self, number: int) -> bool:
        """Take this number; False if it is taken already."""
        free = number not in self._taken
        self._taken.add(number)
        return free

    def next(self) -> int | None:
        """Take the lowest free one, the static band last; None when the range is full."""
        dynamic = NODE_PORTS.start + _STATIC_BAND
        band = chain(range(dynamic, NODE_PORTS.stop), range(NODE_PORTS.start, dynamic))
        number = next((n for n in band if n not in self._taken), None)
        if number is not None:
            self._taken.add(number)
        return number


def with_node_ports(declared: Sequence[Declared]) -> list[Declared]:
    """All Services with their node ports: what they ask for first, then the missing ones."""
    ports = NodePorts()
    for one in declared:
        _claim(one, ports)
    return [one._replace(service=_filled(one, ports)) for one in declared]


def _claim(one: Declared, ports: NodePorts) -> None:
    """Take the ports that a Service names; one number may serve several protocols in it."""
    own: set[int] = set()
    for n, port in enumerate(one.service.ports):
        path: Path = ("spec", "ports", n, "nodePort")
        if port.node_port and port.node_port not in own:
            own.add(port.node_port)
            _claim_one(one.resource, path, port.node_port, ports)
    number = one.service.health_check_node_port
    if number:
        _claim_one(one.resource, ("spec", "healthCheckNodePort"), number, ports)


def _claim_one(resource: Resource, path: Path, number: int, ports: NodePorts) -> None:
    health = path[-1] == "healthCheckNodePort"
    if number not in NODE_PORTS and not resource.from_server:
        why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
    elif not ports.claim(number):
        why = "provided port is already allocated"
    else:
        return
    message = (
        f"Internal error: failed to allocate requested HealthCheck NodePort {number}: {why}"
        if health
        else invalid(number, why)
    )
    resource.refuse(path, message, "Choose another one, or leave it out to have one allocated.")


def _filled(one: Declared, ports: NodePorts) -> Service:
    """The Service with every port that it needs and does not name."""
    service = one.service
    shared = {port.port: port.node_port for port in service.ports if port.node_port}
    filled: list[ServicePort] = []
    for n, port in enumerate(service.ports):
        number = port.node_port
        if one.allocate and not number:
            number = shared.get(port.port) or _next(one.resource, ports, ("spec", "ports", n))
            shared[port.port] = number
        filled.append(replace(port, node_port=number))
    return with_health_port(replace(service, ports=tuple(filled)), ports, one.resource)


def _next(resource: Resource, ports: NodePorts, path: Path) -> int:
    number = ports.next()
    if number is None:
        resource.refuse(
            path,
            "failed to allocate a nodePort: range is full",
            "Remove Services, or set allocateLoadBalancerNodePorts: false on some.",
        )
    return number or 0


def with_health_port(
    service: Service, ports: NodePorts, resource: Resource | None = None
) -> Service:
    """The Service with a healthCheckNodePort exactly when it needs one: LoadBalancer and Local."""
    needed = service.type == "LoadBalancer" and service.external_traffic_policy == "Local"
    if not needed:
        return replace(service, health_check_node_port=0)
    if service.health_check_node_port:
        return service
    number = ports.next()
    if number is None and resource is not None:
        resource.refuse(("spec",), "failed to allocate a nodePort: range is full", "Free some.")
    return replace(service, health_check_node_port=number or 0)


def with_cluster_ips(
    declared: Sequence[Declared], ranges: Sequence[Network], *, strict: bool
) -> list[Declared]:
    """All Services with their clusterIPs: what they ask for first, then the missing ones.

    strict: the ranges were stated, so an address outside of them is refused.
    """
    taken: dict[Address, Resource] = {}
    for one in declared:
        for ip in one.service.cluster_ips:
            _claim_ip(one, ip, taken, ranges, strict)
    pools = [_Pool(cidr, taken) for cidr in ranges]
    return [
        one._replace(service=replace(one.service, cluster_ips=_ips(one, pools))) for one in declared
    ]


def _claim_ip(
    one: Declared,
    ip: Address,
    taken: dict[Address, Resource],
    ranges: Sequence[Network],
    strict: bool,
) -> None:
    why = ""
    if ip in taken:
        why = f"provided IP is already allocated to {taken[ip]}"
    elif strict and not any(ip in cidr for cidr in ranges):
        why = f"provided IP is not in {' or '.join(map(str, ranges))}"
    if why:
        one.resource.refuse(
            ("spec", "clusterIP"),
            invalid(str(ip), f"failed to allocate IP {ip}: {why}"),
            "Leave clusterIP out to have one allocated, or choose a free one of the Service CIDR.",
            field="spec.clusterIPs",
        )
    taken[ip] = one.resource


class _Pool:
    """The free addresses of one Service CIDR, its dynamic band first, lowest first."""

    def __init__(self, cidr: Network, taken: dict[Address, Resource]) -> None:
        self.version = cidr.version
        size = cidr.num_addresses
        band = 0 if size <= 16 else min(max(16, size // 16), 256)
        last = size - 1 if isinstance(cidr, IPv4Network) else size
        # The first address is that of the Service "kubernetes" itself.
        offsets = chain(range(band + 1 if band else 2, last), range(2, band + 1))
        self._free = (cidr[offset] for offset in offsets)
        self._taken = taken

    def next(self, resource: Resource) -> Address | None:
        """The next free address; refused when there is none."""
        found = next((ip for ip in self._free if ip not in self._taken), None)
        if found is None:
            why = "failed to allocate IP: range is full"
            resource.refuse(("spec", "clusterIP"), why, "Widen serviceCIDR in the Lab document.")
        return found


def _ips(one: Declared, pools: Sequence[_Pool]) -> tuple[Address, ...]:
    """The addresses it has, and one of each wanted family that it lacks."""
    ips = list(one.service.cluster_ips)
    if one.headless or one.service.type == "ExternalName":
        return ()
    have = {ip.version for ip in ips}
    for family in _families(one, [pool.version for pool in pools]):
        pool = next((pool for pool in pools if pool.version == family), None)
        if pool is None or family in have:
            continue
        if (ip := pool.next(one.resource)) is not None:
            ips.append(ip)
    return tuple(ips)


def _families(one: Declared, available: Sequence[int]) -> list[int]:
    """The families that it shall have, in order (semantics §8)."""
    for n, family in enumerate(one.wanted):
        if family not in available:
            one.resource.refuse(
                ("spec", "ipFamilies", n),
                invalid(f"IPv{family}", "not configured on this cluster"),
                f"The Service CIDRs are IPv{' and IPv'.join(map(str, available))} only.",
            )
    policy = one.resource.get("spec", "ipFamilyPolicy")
    if policy == "RequireDualStack" and len(available) < 2:
        one.resource.refuse(
            ("spec", "ipFamilyPolicy"),
            invalid(policy, "this cluster is not configured for dual-stack services"),
            "Use PreferDualStack, or give the Lab two serviceCIDRs.",
        )
    own = [ip.version for ip in one.service.cluster_ips] or list(one.wanted) or [*available][:1]
    return list(dict.fromkeys([*own, *one.wanted, *(available if one.dual else ())]))
