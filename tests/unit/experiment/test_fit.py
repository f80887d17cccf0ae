"""What the lab says of an input before it is built."""

from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest
from families import CLIENT, NODES, dual
from support import deployment, lab, pod, service, world

from secondhop.errors import UsageError
from secondhop.experiment.fit import limits, refuse_unfit
from secondhop.experiment.plan import flows
from secondhop.manifests import World
from secondhop.model.cluster import Node

BOTH = world(lab(NODES, client=CLIENT), deployment(), dual("web", 30080))


def with_node(of: World, node: Node) -> World:
    return replace(of, cluster=replace(of.cluster, nodes=(node, *of.cluster.nodes[1:])))


def told(of: World) -> str:
    return "\n".join(limits(of.cluster, of.cluster.services[0], everything=False))


def test_a_cluster_of_both_families_fits() -> None:
    refuse_unfit(BOTH, BOTH.cluster.services[0])
    assert told(BOTH) == (
        "datagrams are answered by whoami in each program's place, whoami's own included"
    )


V4, V6 = ip_interface("192.168.8.1/24"), ip_network("fd00:10:42::/64")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (Node("gz1", (), (V6,)), "node gz1 has no InternalIP"),
        (Node("gz1", (V4,)), "node gz1 has no pod CIDR"),
        (Node("gz1", (V4,), (V6,)), "node gz1 has pods in fd00:10:42::/64 and no IPv6 address"),
    ],
)
def test_nodes_that_flannel_could_not_serve(node: Node, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        refuse_unfit(with_node(BOTH, node), BOTH.cluster.services[0])


@pytest.mark.parametrize(
    ("ips", "says"),
    [
        (
            ["10.42.1.9", "fd00:10:42::9"],
            "fd00:10:42::9, outside xjp1's pod CIDR fd00:10:42:1::/64",
        ),
        (["10.42.1.9", "fd00:10:42:1::1"], "fd00:10:42:1::1, which is xjp1's own"),
    ],
)
def test_addresses_of_either_family_must_be_the_nodes(ips: list[str], says: str) -> None:
    odd = pod("web-0", "xjp1")
    odd["status"]["podIPs"] = [{"ip": ip} for ip in ips]
    odd["status"]["podIP"] = ips[0]
    given = world(lab(NODES, client=CLIENT), odd, dual("web", 30080))
    with pytest.raises(UsageError, match=says):
        refuse_unfit(given, given.cluster.services[0])


def test_a_client_of_one_family_tries_that_one() -> None:
    given = world(lab(NODES), deployment(), dual("web", 30080))
    assert {f.source.ip.version for f in flows(given.cluster, given.cluster.services[0])} == {4}
    assert "IPv6 is not tried from outside, the client has no such address" in told(given)


def test_no_family_in_common_is_told() -> None:
    described = lab(NODES, client={"address": "fd00:192:168:22::2"})
    given = world(described, deployment(), service())
    with pytest.raises(UsageError, match="has IPv4, and there is no family that it shares"):
        flows(given.cluster, given.cluster.services[0])


def test_sctp_is_not_sent() -> None:
    ports = [
        {"name": "a", "port": 80, "nodePort": 30080},
        {"name": "b", "port": 81, "protocol": "SCTP", "nodePort": 30081},
    ]
    given = world(deployment(), service(ports=ports))
    assert {f.destination.port for f in flows(given.cluster, given.cluster.services[0])} == {30080}
    assert "30081/SCTP: not tried, the lab sends TCP and UDP" in told(given)
    given = world(deployment(), service(ports=ports[1:]))
    with pytest.raises(UsageError, match=r"has only 30081/SCTP, and the lab sends TCP and UDP"):
        flows(given.cluster, given.cluster.services[0])
