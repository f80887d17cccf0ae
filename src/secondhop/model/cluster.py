"""What a cluster says of itself: frozen data, no I/O. Names are Kubernetes' own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .version import NEWEST, KubeVersion

if TYPE_CHECKING:
    from .workload import Workload

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Interface: TypeAlias = IPv4Interface | IPv6Interface

Family: TypeAlias = Literal[4, 6]
Protocol: TypeAlias = Literal["TCP", "UDP", "SCTP"]
Policy: TypeAlias = Literal["Cluster", "Local"]
ServiceType: TypeAlias = Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
IPMode: TypeAlias = Literal["VIP", "Proxy"]
CniBackend: TypeAlias = Literal["vxlan", "host-gw"]
ProxyMode: TypeAlias = Literal["iptables", "nftables"]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    addresses: of its NIC with their prefix; the first of each family is the node's InternalIP.
    pod_cidrs: at most one for each family.
    zone: label `topology.kubernetes.io/zone`; None when the node has none.
    deleting: the Node is being deleted, or the autoscaler has marked it so (semantics §6.2).
    excluded: label `node.kubernetes.io/exclude-from-external-load-balancers`.
    """

    name: str
    addresses: tuple[Interface, ...]
    pod_cidrs: tuple[Network, ...] = ()
    zone: str | None = None
    deleting: bool = False
    excluded: bool = False

    def address(self, family: Family) -> Address | None:
        """Its InternalIP of that family, if it has one."""
        return next((i.ip for i in self.addresses if i.version == family), None)

    def pod_cidr(self, family: Family) -> Network | None:
        """Where its pods' addresses come from, if it has pods of that family."""
        return next((n for n in self.pod_cidrs if n.version == family), None)

    def bridge_address(self, family: Family) -> Address | None:
        """Address of cni0, the pods' bridge and gateway: the pod CIDR's first (bridge CNI)."""
        cidr = self.pod_cidr(family)
        return cidr[1] if cidr else None

    def overlay_address(self, family: Family) -> Address | None:
        """Address of flannel.1, the VXLAN device: the pod CIDR's base (semantics §4.2)."""
        cidr = self.pod_cidr(family)
        return cidr[0] if cidr else None


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One entry of `spec.ports`. node_port is 0 when the Service has none; name may be empty."""

    name: str
    protocol: Protocol
    port: int
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Ingress:
    """One IP of `status.loadBalancer.ingress`; mode VIP is captured by kube-proxy, Proxy is not."""

    ip: Address
    mode: IPMode = "VIP"


class ServicePortName(NamedTuple):
    """What kube-proxy calls a service port: unique in the cluster."""

    namespace: str
    service: str
    port: str
    protocol: Protocol

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class Service:
    """The fields of a Service that decide where traffic goes, after the API server's defaulting.

    cluster_ips: empty when headless. source_ranges: `loadBalancerSourceRanges` as written, both
    families. affinity_timeout: seconds of ClientIP affinity, None without affinity.
    health_check_node_port: 0 when there is none. proxy_name: label
    `service.kubernetes.io/service-proxy-name`, which hides the Service from kube-proxy.
    """

    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    type: ServiceType = "ClusterIP"
    cluster_ips: tuple[Address, ...] = ()
    external_ips: tuple[Address, ...] = ()
    ingress: tuple[Ingress, ...] = ()
    source_ranges: tuple[Network, ...] = ()
    external_traffic_policy: Policy = "Cluster"
    internal_traffic_policy: Policy = "Cluster"
    affinity_timeout: int | None = None
    health_check_node_port: int = 0
    proxy_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def port_name(self, port: ServicePort) -> ServicePortName:
        """The cluster-wide name of one of its ports."""
        return ServicePortName(self.namespace, self.name, port.name, port.protocol)

    def cluster_ip(self, family: Family) -> Address | None:
        """Its clusterIP of that family: only the first counts (semantics §1.1)."""
        return next((ip for ip in self.cluster_ips if ip.version == family), None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port behind a service port, as an EndpointSlice states it.

    pod: name of the targetRef, empty if the slice names none. node: `nodeName`, None if absent.
    zone_hints, node_hints: `hints.forZones`, `hints.forNodes`.
    """

    address: Address
    port: int
    pod: str = ""
    node: str | None = None
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """One entry of a container's `ports`."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"


@dataclass(frozen=True, slots=True)
class Probe:
    """A readiness probe: `path` for httpGet, None for tcpSocket; timeout in seconds."""

    port: int
    path: str | None = None
    timeout: float = 1.0


@dataclass(frozen=True, slots=True)
class Container:
    """What runs in a pod. program: in place of the image's own, if any; args: its arguments; env:
    its literal variables."""

    name: str
    image: str
    program: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. node is None while unplaced; ready is the Ready condition; a hostNetwork pod has its
    node's addresses. addresses: at most one for each family."""

    namespace: str
    name: str
    node: str | None
    addresses: tuple[Address, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    host_network: bool = False
    ready: bool = True
    terminating: bool = False

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Cni:
    """The pod network (flannel's ways): routing backend, ranges, and whether flannel masquerades
    what leaves it (`--ip-masq`)."""

    backend: CniBackend = "vxlan"
    pod_cidrs: tuple[Network, ...] = ()
    service_cidrs: tuple[Network, ...] = ()
    masquerade: bool = True


@dataclass(frozen=True, slots=True)
class Proxy:
    """kube-proxy's configuration (semantics §1.4), equal on every node.

    node_port_addresses: empty for the mode's default; `("primary",)` or CIDRs.
    detect_local: the CIDRs whose sources count as pods; empty means no detector.
    """

    mode: ProxyMode = "iptables"
    node_port_addresses: tuple[Network | Literal["primary"], ...] = ()
    detect_local: tuple[Network, ...] = ()
    masquerade_all: bool = False
    localhost_node_ports: bool = True


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything an answer depends on.

    client: addresses of the outside client, with their prefix, at most one for each family.
    endpoints: for each service port, in kube-proxy's order (string sort of `ip:port`), both
    families together; a service port without endpoints may be missing.
    kube_version: of its kube-proxies and controllers, which must be one.
    workloads: what made the pods; of those that nobody has placed, pods and endpoints are one
    possibility among others.
    """

    nodes: tuple[Node, ...]
    client: tuple[Interface, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    endpoints: Mapping[ServicePortName, tuple[Endpoint, ...]] = field(default_factory=dict)
    cni: Cni = Cni()
    proxy: Proxy = Proxy()
    kube_version: KubeVersion = NEWEST
    workloads: tuple[Workload, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def endpoints_of(
        self, service: Service, port: ServicePort, family: Family
    ) -> tuple[Endpoint, ...]:
        """The endpoints of one service port in one family, in kube-proxy's order."""
        all_of_it = self.endpoints.get(service.port_name(port), ())
        return tuple(e for e in all_of_it if e.address.version == family)
