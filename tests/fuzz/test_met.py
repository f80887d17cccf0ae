"""Disagreements that drawn worlds led to, and who was wrong; each as small as it can be."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from support import lab, service, world

from secondhop.lab.probe import _bind_anew
from secondhop.model.cluster import Cluster

from .mutants import NODES, endpoint_slice
from .play import played

VIP = "203.0.113.9"
WEB = endpoint_slice("web", ("10.42.1.2", "xjp1"))
MODES = pytest.mark.parametrize("mode", ["iptables", "nftables"])


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""


def balanced(mode: str, ip_mode: str, *others: dict[str, Any], **spec: Any) -> Cluster:
    """Two nodes and a LoadBalancer Service without a selector."""
    made = service(type="LoadBalancer", clusterIP="10.43.0.10", **spec)
    ingress = [{"ip": VIP, "ipMode": ip_mode}]
    made |= {"status": {"loadBalancer": {"ingress": ingress}}}
    return world(lab(NODES, proxy={"mode": mode}), made, *others).cluster


@MODES
def test_a_pod_without_flannels_masquerade_hears_nothing_of_a_loop(mode: str) -> None:
    """predict was wrong: the router, where its hops run out, knows no way to a pod."""
    cluster = balanced(mode, "Proxy", WEB)
    unmasked = replace(cluster, cni=replace(cluster.cni, masquerade=False))
    assert played(unmasked)[1] == []


@MODES
@pytest.mark.parametrize("backends", [[WEB], []], ids=["served", "unserved"])
def test_an_external_ip_that_is_also_the_balancers(
    mode: str, backends: list[dict[str, Any]]
) -> None:
    """predict was wrong about nftables, whose source ranges are asked before anything."""
    ranges = {"externalIPs": [VIP], "loadBalancerSourceRanges": ["198.51.100.0/24"]}
    assert played(balanced(mode, "VIP", *backends, **ranges))[1] == []


@MODES
def test_a_host_network_pod_of_a_node_with_a_management_nic(mode: str) -> None:
    """The lab was wrong: its nodes' eth0 was not their first device (tests/lab/test_wiring.py)."""
    nodes = [{**n, "addresses": [n["address"], f"100.64.0.{k}"]} for k, n in enumerate(NODES, 1)]
    for node in nodes:
        del node["address"]
    host = endpoint_slice("web", ("192.168.8.1", "gz1"))
    described = lab(nodes, proxy={"mode": mode})
    assert played(world(described, service(clusterIP="10.43.0.10"), host).cluster)[1] == []


@MODES
def test_second_ipv6_addresses_are_not_what_a_node_sends_from(mode: str) -> None:
    """The lab was wrong: the kernel prefers the one that came last, so the first comes last now."""
    nodes = [
        {
            "name": f"node-{k}",
            "addresses": [f"fd00:{k}::1", f"fd00:{k}::101", f"fd00:9::{k}"],
            "podCIDR": f"fd00:42:0:{k}::/64",
        }
        for k in (1, 2)
    ]
    network = {"podCIDR": "fd00:42::/48", "serviceCIDR": "fd00:43::/112"}
    client = {"address": "fd00:192:168:22::2"}
    host = endpoint_slice("web", ("fd00:2::1", "node-2")) | {"addressType": "IPv6"}
    described = lab(nodes, client=client, network=network, proxy={"mode": mode})
    made = service(clusterIP="fd00:43::10", ipFamilies=["IPv6"])
    assert played(world(described, made, host).cluster)[1] == []


def test_no_probe_comes_from_a_port_that_another_came_from() -> None:
    """The probe was wrong: the kernel chose its port, and sometimes one of which a node remembered
    a flow that had been let pass before the rules changed."""
    met = []
    for _ in range(2000):
        with socket.socket() as sock:
            _bind_anew(sock, ip_address("127.0.0.1"))
            met.append(sock.getsockname()[1])
    assert len(set(met)) == 2000
