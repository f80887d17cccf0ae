"""The Lab document: defaults by section, precise refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from secondhop.manifests import World
from secondhop.model.cluster import Cni

from .helpers import Object, complaints, lab, node, pod, refusals, service, world

GZ1: Object = {"name": "gz1", "address": "192.168.8.1"}
XJP1: Object = {"name": "xjp1", "address": "172.17.26.70"}


def text(value: World) -> dict[str, Any]:
    """Names and addresses of a World as text."""
    nodes = {
        n.name: [str(i) for i in (*n.addresses, *n.pod_cidrs)] + ([n.zone] if n.zone else [])
        for n in value.cluster.nodes
    }
    return {"client": [str(i) for i in value.cluster.client], **nodes}


def test_an_empty_lab_is_the_reference_lab() -> None:
    empty, nothing = world(lab()), world()
    assert empty.cluster == nothing.cluster
    assert text(empty) == {
        "client": ["192.168.22.2/24"],
        "gz1": ["192.168.8.1/24", "10.42.0.0/24", "zone-a"],
        "xjp1": ["172.17.26.70/24", "10.42.1.0/24", "zone-b"],
    }


def test_defaults_replace_sections_not_fields() -> None:
    """A node without zone has none; a network without ranges has those of its nodes."""
    nodes = [{**GZ1, "podCIDR": "10.244.3.0/24"}, XJP1]
    built = world(lab(nodes=nodes, network={"backend": "vxlan"}, placement=None))
    assert text(built) == {
        "client": ["192.168.22.2/24"],
        "gz1": ["192.168.8.1/24", "10.244.3.0/24"],
        "xjp1": ["172.17.26.70/24", "10.244.0.0/24"],
    }
    assert [str(c) for c in built.lab.cni.pod_cidrs] == ["10.244.0.0/16"]
    assert [str(c) for c in built.cluster.proxy.detect_local] == ["10.244.0.0/16"]
    assert built.lab.placement == {"traffic-test": ("xjp1",)}


def test_prefixes_and_both_families() -> None:
    nodes = [{"name": "a", "addresses": ["10.0.0.1/16", "fd00::1"], "podCIDRs": ["10.42.9.0/24"]}]
    built = world(lab(nodes=nodes, client={"addresses": ["10.0.0.2/16", "fd00::2/64"]}))
    assert text(built) == {
        "client": ["10.0.0.2/16", "fd00::2/64"],
        "a": ["10.0.0.1/16", "fd00::1/64", "10.42.9.0/24"],
    }
    both = world(lab(nodes=[{"name": "a", "addresses": ["10.0.0.1", "fd00::1"]}]))
    assert text(both)["a"][2:] == ["10.42.0.0/24", "fd00:10:42::/64"]
    assert [str(c) for c in both.lab.cni.service_cidrs] == ["10.43.0.0/16", "fd00:10:43::/112"]


def test_host_gw_and_the_proxy_section() -> None:
    nodes = [{"name": "gz1", "address": "192.168.22.10"}, {"name": "x", "address": "192.168.22.11"}]
    proxy = {
        "mode": "nftables",
        "nodePortAddresses": ["primary"],
        "external": "/bin/kube-proxy",
    }
    built = world(lab(nodes=nodes, network={"backend": "host-gw"}, proxy=proxy, nodeGraceSeconds=3))
    assert built.cluster.cni.backend == "host-gw"
    assert built.cluster.proxy.mode == "nftables"
    assert built.cluster.proxy.node_port_addresses == ("primary",)
    assert built.lab.external_proxy == "/bin/kube-proxy"
    assert built.lab.node_grace_seconds == 3
    assert world(lab(proxy=proxy), proxy_mode="iptables").cluster.proxy.mode == "iptables"


@pytest.mark.parametrize(
    ("sections", "pool"),
    [
        ({}, ["192.0.2.0/24", "2001:db8:2::/112"]),
        ({"client": {"address": "192.0.2.2"}}, ["198.51.100.0/24", "2001:db8:2::/112"]),
        (
            {"client": {"addresses": ["192.0.2.2/25", "2001:db8::1/32"]}},
            ["198.51.100.0/24"],
        ),
        ({"balancer": {"pool": ["172.31.0.0/28"]}}, ["172.31.0.0/28"]),
        ({"balancer": {"pool": []}}, []),
    ],
)
def test_the_balancers_pool_is_as_said_or_what_nothing_else_uses(
    sections: Object, pool: list[str]
) -> None:
    assert [str(network) for network in world(lab(**sections)).lab.balancer.pool] == pool


def test_the_balancer_section() -> None:
    usual = world(lab()).lab.balancer
    assert (usual.kind, usual.interval, usual.threshold) == ("ecmp", 1.0, 2)
    said = world(lab(balancer={"kind": "single-node", "interval": 0.5, "threshold": 3}))
    assert said.lab.balancer == replace(usual, kind="single-node", interval=0.5, threshold=3)


@pytest.mark.parametrize(
    ("sections", "field", "message"),
    [
        ({"nodes": []}, "nodes", "no node at all"),
        ({"nodes": [{"address": "10.0.0.1"}]}, "nodes[0].name", "Required value"),
        ({"nodes": [{"name": "a"}]}, "nodes[0].address", "Required value"),
        (
            {"nodes": [{**GZ1, "name": "Gz_1"}]},
            "nodes[0].name",
            'Invalid value: "Gz_1": a lowercase RFC 1123 subdomain must consist of',
        ),
        (
            {"nodes": [GZ1, {**XJP1, "name": "gz1"}]},
            "nodes[1].name",
            'Duplicate value: "gz1": nodes[0] has that name',
        ),
        (
            {"nodes": [GZ1, {**XJP1, "address": "192.168.8.1"}]},
            "nodes[1].address",
            "192.168.8.1 of node xjp1 is also the address of node gz1",
        ),
        (
            {"client": {"address": "192.168.8.1"}},
            "client.address",
            "192.168.8.1 of the client is also the address of node gz1",
        ),
        (
            {"client": {"address": "192.168.8.9/16"}},
            "client.address",
            "subnet 192.168.0.0/16 of the client overlaps 192.168.8.0/24 of node gz1",
        ),
        (
            {"client": {"address": "10.42.7.7"}},
            "client.address",
            "10.42.7.7 of the client lies inside network.podCIDR 10.42.0.0/16",
        ),
        (
            {"client": {"address": "10.0.0.1/8"}},
            "client.address",
            "subnet 10.0.0.0/8 of the client overlaps network.podCIDR 10.42.0.0/16",
        ),
        (
            {"client": {"address": "10.43.0.1"}},
            "client.address",
            "10.43.0.1 of the client lies inside network.serviceCIDR 10.43.0.0/16",
        ),
        (
            {"client": {"address": "host"}},
            "client.address",
            'Invalid value: "host": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
        (
            {"client": {"address": "127.0.0.1"}},
            "client.address",
            "127.0.0.1 is not an address that a machine on a network can have",
        ),
        (
            {"client": {"address": "192.168.22.0"}},
            "client.address",
            "192.168.22.0 is the base address of 192.168.22.0/24",
        ),
        (
            {"client": {"address": "192.168.22.255"}},
            "client.address",
            "192.168.22.255 is the broadcast address of 192.168.22.0/24",
        ),
        (
            {"client": {"address": "192.168.22.2/32"}},
            "client.address",
            "subnet 192.168.22.2/32 has no room for the router beside 1 member(s)",
        ),
        (
            {"client": {"address": "1.1.1.1", "addresses": ["1.1.1.2"]}},
            "client.address",
            "both address and addresses are given",
        ),
        (
            {"client": {"addresses": ["1.1.1.1", "1.1.1.2"]}},
            "client",
            "1.1.1.1/24 and 1.1.1.2/24 are both IPv4",
        ),
        (
            {"nodes": [{**GZ1, "podCIDR": "10.44.0.0/24"}], "network": {"podCIDR": "10.42.0.0/16"}},
            "nodes[0].podCIDR",
            "10.44.0.0/24 is not inside network.podCIDR 10.42.0.0/16",
        ),
        (
            {"nodes": [{**GZ1, "podCIDR": "10.42.0.0/31"}]},
            "nodes[0].podCIDR",
            "10.42.0.0/31 has no room for a pod: its base and first address are the node's own",
        ),
        (
            {"nodes": [{**GZ1, "podCIDR": "10.42.0.1/24"}]},
            "nodes[0].podCIDR",
            'Invalid value: "10.42.0.1/24": must not have bits set beyond the prefix length',
        ),
        (
            {"nodes": [{**GZ1, "podCIDR": "10.42.0.0"}]},
            "nodes[0].podCIDR",
            'Invalid value: "10.42.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or',
        ),
        (
            {"nodes": [{**GZ1, "podCIDR": "fd00:10:42::/64"}]},
            "nodes[0].podCIDR",
            "IPv6 pods on a node without an IPv6 address",
        ),
        (
            {
                "nodes": [
                    {**GZ1, "podCIDR": "10.42.0.0/23"},
                    {**XJP1, "podCIDR": "10.42.1.0/24"},
                ]
            },
            "nodes[1].podCIDR",
            "10.42.1.0/24 overlaps 10.42.0.0/23 of node gz1",
        ),
        (
            {"nodes": [GZ1, XJP1], "network": {"podCIDR": "10.42.0.0/24"}},
            "nodes[1]",
            "network.podCIDR 10.42.0.0/24 has no free part left for this node",
        ),
        (
            {"network": {"podCIDR": "10.42.0.0/16", "serviceCIDR": "10.42.7.0/24"}},
            "network",
            "podCIDR 10.42.0.0/16 overlaps serviceCIDR 10.42.7.0/24",
        ),
        (
            {"network": {"podCIDRs": ["10.42.0.0/16", "10.45.0.0/16"]}},
            "network.podCIDR",
            "10.42.0.0/16 and 10.45.0.0/16 are both IPv4",
        ),
        (
            {"network": {"backend": "host-gw"}},
            "network.backend",
            "host-gw needs all nodes in one subnet; they are in 172.17.26.0/24, 192.168.8.0/24",
        ),
        ({"placement": {"web": "gz2"}}, "placement.web", 'there is no node "gz2"'),
        ({"placement": {"web": ["gz1", "x"]}}, "placement.web", 'there is no node "x"'),
        ({"placement": {"web": 3}}, "placement.web", "must be a string or a list of strings, is 3"),
        (
            {"proxy": {"mode": "ipvs"}},
            "proxy.mode",
            'Unsupported value: "ipvs": supported values: "iptables", "nftables"',
        ),
        (
            {"proxy": {"nodePortAddresses": ["primary", "10.0.0.0/8"]}},
            "proxy.nodePortAddresses",
            "can't use both 'primary' and CIDRs",
        ),
        (
            {"proxy": {"nodePortAddresses": ["eth0"]}},
            "proxy.nodePortAddresses[0]",
            'Invalid value: "eth0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or',
        ),
        ({"nodeGraceSeconds": "long"}, "nodeGraceSeconds", 'must be a number, is "long"'),
        (
            {"nodeGraceSeconds": -1},
            "nodeGraceSeconds",
            "Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {"balancer": {"kind": "f5"}},
            "balancer.kind",
            'Unsupported value: "f5": supported values: "ecmp", "single-node"',
        ),
        (
            {"balancer": {"pool": ["192.0.2.1"]}},
            "balancer.pool[0]",
            'Invalid value: "192.0.2.1": must be a valid CIDR value',
        ),
        (
            {"balancer": {"pool": ["198.51.100.0/24", "192.168.8.128/25"]}},
            "balancer.pool[1]",
            "192.168.8.128/25 overlaps 192.168.8.0/24, which the Lab uses itself",
        ),
        (
            {"balancer": {"pool": ["10.43.7.0/24"]}},
            "balancer.pool[0]",
            "10.43.7.0/24 overlaps 10.43.0.0/16",
        ),
        (
            {"balancer": {"interval": 0}},
            "balancer.interval",
            "Invalid value: 0: must be greater than 0",
        ),
        (
            {"balancer": {"threshold": 0}},
            "balancer.threshold",
            "Invalid value: 0: must be greater than 0",
        ),
        ({"podCidr": "10.42.0.0/16"}, "podCidr", 'unknown field "podCidr"'),
        ({"cleint": {}}, "cleint", 'unknown field "cleint"'),
    ],
)
def test_refusals(sections: Object, field: str, message: str) -> None:
    found = refusals(lab(**sections))
    assert any(f == field and m.startswith(message) for f, m in found), found


def test_everything_wrong_is_said_at_once_with_its_line() -> None:
    assert complaints(
        "apiVersion: secondhop/v1\n"
        "kind: Lab\n"
        "nodes:\n"
        "- {name: a, address: 192.168.1.1, podCIDR: 10.42.0.0/24}\n"
        "- {name: a, adress: 192.168.1.1, podCIDR: 10.42.0.0/25}\n"
        "client: {address: 10.42.3.4}\n"
        "placement: {web: b}\n"
    ) == [
        '5: nodes[1].adress: unknown field "adress"',
        '5: nodes[1].name: Duplicate value: "a": nodes[0] has that name',
        "5: nodes[1].podCIDR: 10.42.0.0/25 overlaps 10.42.0.0/24 of node a",
        "5: nodes[1].address: 192.168.1.1 of node a is also the address of node a",
        "6: client.address: 10.42.3.4 of the client lies inside network.podCIDR 10.42.0.0/16",
        '7: placement.web: there is no node "b"',
    ]


def test_one_lab_only() -> None:
    assert refusals(lab(), lab()) == [("", "is given twice; the first is at test:1")]


def test_node_objects_stand_in_for_a_missing_nodes_section() -> None:
    zone = {"topology.kubernetes.io/zone": "z"}
    built = world(
        node("n1", "10.1.0.4", podCIDRs=["192.168.0.0/24"], labels=zone),
        node("n2", "10.1.0.5", podCIDR="192.168.1.0/24"),
        node("n3", "10.1.0.6"),
        service(clusterIP="10.96.0.10"),
        service("other", clusterIP="10.111.3.4"),
        service("new"),
    )
    assert text(built) == {
        "client": ["203.0.113.2/24"],
        "n1": ["10.1.0.4/24", "192.168.0.0/24", "z"],
        "n2": ["10.1.0.5/24", "192.168.1.0/24"],
        "n3": ["10.1.0.6/24", "192.168.2.0/24"],
    }
    assert built.cluster.cni == Cni("vxlan", built.lab.cni.pod_cidrs, built.lab.cni.service_cidrs)
    assert [str(c) for c in built.lab.cni.pod_cidrs] == ["192.168.0.0/16"]
    assert [str(c) for c in built.lab.cni.service_cidrs] == ["10.96.0.0/12"]
    assert str(built.cluster.services[2].cluster_ips[0]) == "10.96.1.1"
    own = world(node("n1", "10.1.0.4"), lab(nodes=[GZ1]))
    assert [n.name for n in own.cluster.nodes] == ["gz1"]


def test_a_node_object_without_an_address() -> None:
    broken = node("n1", "10.1.0.4")
    broken["status"]["addresses"] = [{"type": "Hostname", "address": "n1"}]
    assert refusals(broken) == [("status.addresses", "Required value: the node has no InternalIP")]
    broken["status"]["addresses"] = [{"type": "ExternalIP", "address": "1.2.3.4"}]
    assert text(world(broken))["n1"][0] == "1.2.3.4/24"


def test_running_pods_tell_of_their_nodes() -> None:
    def running(name: str, where: str, host: str, ip: str) -> Object:
        status = {"phase": "Running", "hostIP": host, "podIP": ip}
        return pod(name, spec={"nodeName": where}, status=status)

    built = world(
        running("a", "n1", "10.1.0.4", "10.244.0.9"), running("b", "n2", "10.1.0.5", "10.244.1.9")
    )
    assert text(built) == {
        "client": ["192.168.22.2/24"],
        "n1": ["10.1.0.4/24", "10.244.0.0/24"],
        "n2": ["10.1.0.5/24", "10.244.1.0/24"],
    }
    assert [str(c) for c in built.lab.cni.pod_cidrs] == ["10.244.0.0/16"]
    assert built.notes[0] == "nodes n1, n2: from what the pods say of them"


def test_a_lab_without_nodes_is_one_problem_not_a_crash() -> None:
    found = complaints(
        '{"apiVersion": "secondhop/v1", "kind": "Lab", "nodes": []}\n---\n'
        '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},'
        ' "spec": {"ports": [{"port": 80}]}}'
    )
    assert found == ["1: nodes: no node at all"]
