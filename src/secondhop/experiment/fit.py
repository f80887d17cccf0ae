"""Whether the lab can be this cluster: what it would have to refuse or could only get wrong is said
before there is a lab."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import UsageError
from ..lab.named import named_program
from ..lab.workloads import is_whoami, listeners, workloads
from ..manifests import World
from ..model.cluster import Address, Cluster, Endpoint, Node, Pod, Service, ServicePort
from .plan import SENT

_EXPLAIN = "`secondhop explain` predicts it all the same."


def refuse_unfit(world: World, service: Service) -> None:
    """Raises UsageError with everything in the input that the lab cannot be."""
    cluster = world.cluster
    problems = [*_nodes(cluster)] or [*_pods(cluster)] or [*_endpoints(cluster, service)]
    if problems:
        raise UsageError("\n".join(problems), _EXPLAIN)


def stock_proxy(world: World) -> str | None:
    """Absolute path of the kube-proxy that the Lab names, if it does. Raises EnvironmentUnable if
    it is not there or cannot be executed."""
    named = world.lab.external_proxy
    return None if named is None else named_program(named, "proxy.external")


def limits(cluster: Cluster, service: Service, *, everything: bool) -> Iterator[str]:
    """What the lab does not do, or does in its own way, with this Service. everything: all
    destinations are tried, not only node ports."""
    behind = {endpoint.address for _, endpoint in _behind(cluster, service)}
    pods = [pod for pod in cluster.pods if behind & {*pod.addresses}]
    images = {c.image or c.name for pod in pods for c in pod.containers if not is_whoami(c)}
    if images:
        yield (
            f"{', '.join(sorted(images))}: played by whoami on the ports that containers, probes"
            " or the Service name; whether the real program listens there is not looked at"
        )
    elsewhere = [*(i.ip for i in service.ingress), *service.external_ips]
    if elsewhere and not everything:
        addresses = ", ".join(map(str, elsewhere))
        yield f"{addresses}: not tried, only node ports are; `--all` tries them"
    for port in service.ports:
        if port.protocol not in SENT:
            number = port.node_port or port.port
            yield f"{number}/{port.protocol}: not tried, the lab sends {' and '.join(SENT)}"
    if any(port.protocol == "UDP" for port in service.ports):
        yield "datagrams are answered by whoami in each program's place, whoami's own included"
    for version in (ip.version for ip in service.cluster_ips):
        if not any(interface.version == version for interface in cluster.client):
            yield (
                f"Service {service}: IPv{version} is not tried from outside, the client has no"
                " such address (client.addresses in a Lab file)"
            )


def _nodes(cluster: Cluster) -> Iterator[str]:
    for node in cluster.nodes:
        if not node.addresses:
            yield f"node {node.name} has no InternalIP"
        elif not node.pod_cidrs:
            yield (
                f"node {node.name} has no pod CIDR (spec.podCIDR; or nodes[].podCIDR in a Lab"
                " file), and the lab's pod network is flannel's, which needs one"
            )
        for cidr in node.pod_cidrs:
            if node.addresses and node.address(cidr.version) is None:
                yield (
                    f"node {node.name} has pods in {cidr} and no IPv{cidr.version} address, over"
                    " which flannel would reach them"
                )


def _pods(cluster: Cluster) -> Iterator[str]:
    owners: dict[object, str] = {}
    for pod in cluster.pods:
        node = next((n for n in cluster.nodes if n.name == pod.node), None)
        if node is None:
            if pod.node is not None:
                yield f"pod {pod} is on node {pod.node}, which is not in the input: add the nodes"
            continue
        yield from _listeners(cluster, pod)
        if not pod.addresses:
            yield f"pod {pod} has no address"
        for address in () if pod.host_network else pod.addresses:
            if address in owners:
                yield f"pods {owners[address]} and {pod} both have the address {address}"
            owners[address] = str(pod)
            yield from _address(f"pod {pod}", node, address)


def _listeners(cluster: Cluster, pod: Pod) -> Iterator[str]:
    try:
        listeners(cluster, pod)
    except UsageError as error:
        yield f"pod {pod}: {error.message}. {error.remedy}"


def _address(whose: str, node: Node, address: Address) -> Iterator[str]:
    cidr = node.pod_cidr(address.version)
    if cidr is None or address not in cidr:
        yield f"{whose} has the address {address}, outside {node.name}'s pod CIDR {cidr}"
    elif address in (cidr[0], cidr[1], cidr.broadcast_address):
        yield f"{whose} has the address {address}, which is {node.name}'s own or its broadcast"


def _endpoints(cluster: Cluster, service: Service) -> Iterator[str]:
    """Endpoints that nobody in the lab would answer for."""
    pods = {address: pod for pod in workloads(cluster) for address in pod.addresses}
    names = {node.name for node in cluster.nodes}
    for port, endpoint in _behind(cluster, service):
        pod = pods[endpoint.address]
        if pod.node not in names:
            yield f"endpoint {endpoint} of Service {service} is on no node of the lab"
        elif not pod.host_network and pod not in cluster.pods:
            yield from _address(f"endpoint {endpoint}", cluster.node(pod.node), endpoint.address)
        elif port.protocol == "TCP" and endpoint.port not in (heard := _ports(cluster, pod)):
            yield (
                f"Service {service} targets port {endpoint.port} of pod {pod}, which listens on"
                f" {', '.join(map(str, heard))} (whoami: -port, WHOAMI_PORT_NUMBER, else 80): every"
                " connection would be reset. Correct spec.ports[].targetPort, or the container"
            )


def _ports(cluster: Cluster, pod: Pod) -> list[int]:
    return sorted(one.port for one in listeners(cluster, pod))


def _behind(cluster: Cluster, service: Service) -> Iterator[tuple[ServicePort, Endpoint]]:
    for port in service.ports:
        for endpoint in cluster.endpoints.get(service.port_name(port), ()):
            yield port, endpoint
