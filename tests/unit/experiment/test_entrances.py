"""Which addresses lead into a Service, who dials them, and what is expected there."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from secondhop.experiment.entrances import entrances, expected, sender
from secondhop.model.cluster import Cluster, Endpoint, Ingress, Node, Service, ServicePort
from secondhop.model.fate import Fate

NODES = tuple(
    Node(f"n{k}", (ip_interface(f"172.16.0.{k + 1}/24"),), (ip_network(f"10.42.{k}.0/24"),))
    for k in range(2)
)
PORTS = (ServicePort("tcp", "TCP", 80, 30080), ServicePort("udp", "UDP", 53, 30053))
SERVICE = Service(
    "shop", "web", PORTS, "LoadBalancer",
    cluster_ips=(ip_address("10.43.0.9"),),
    external_ips=(ip_address("198.51.100.7"),),
    ingress=(Ingress(ip_address("203.0.113.10")),),
    external_traffic_policy="Local",
    health_check_node_port=31000,
)  # fmt: skip
ENDPOINTS = {SERVICE.port_name(PORTS[0]): (Endpoint(ip_address("10.42.0.2"), 80, "web-0", "n0"),)}
CLUSTER = Cluster(
    NODES,
    client=(ip_interface("192.0.2.9/24"),),
    services=(SERVICE,),
    endpoints=ENDPOINTS,
)
EXTERNAL = {"n0": ("192.0.2.100", "2001:db8::1"), "n1": ("172.16.0.2",)}


def test_every_tcp_address_and_nothing_twice() -> None:
    found = [str(one.destination) for one in entrances(CLUSTER, SERVICE, EXTERNAL)]
    nodes = ["172.16.0.1", "192.0.2.100", "172.16.0.2"]
    assert found == [
        *(f"{address}:30080" for address in nodes),
        "203.0.113.10:80",
        "198.51.100.7:80",
        *(f"{address}:31000" for address in nodes),
    ]


def test_an_external_ip_of_a_node_is_expected_to_do_as_its_own() -> None:
    client = sender(CLUSTER, ip_address("192.0.2.9"))
    of = {str(one.destination): one for one in entrances(CLUSTER, SERVICE, EXTERNAL)}
    (outer,) = expected(CLUSTER, client, of["192.0.2.100:30080"])
    (inner,) = expected(CLUSTER, client, of["172.16.0.1:30080"])
    assert outer == inner
    assert (outer.via, outer.outcome.fate) == (None, Fate.DELIVERED)
    (away,) = expected(CLUSTER, client, of["172.16.0.2:30080"])
    assert away.outcome.fate is Fate.DROPPED


def test_of_a_balancers_address_every_node_is_asked() -> None:
    client = sender(CLUSTER, ip_address("192.0.2.9"))
    of = {str(one.destination): one for one in entrances(CLUSTER, SERVICE, {})}
    told = expected(CLUSTER, client, of["203.0.113.10:80"])
    assert {one.via: one.outcome.fate for one in told} == {
        "n0": Fate.DELIVERED,
        "n1": Fate.DROPPED,
    }


@pytest.mark.parametrize(
    ("own", "kind", "node"),
    [("192.0.2.9", "client", None), ("172.16.0.2", "node", "n1"), ("10.42.0.77", "pod", "n0")],
)
def test_who_dials(own: str, kind: str, node: str | None) -> None:
    found = sender(CLUSTER, ip_address(own))
    assert (found.kind, found.node) == (kind, node)
