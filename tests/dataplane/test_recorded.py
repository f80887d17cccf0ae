"""The rules of a lab node against those that a real kube-proxy v1.36 and flannel's rules left."""

import asyncio
import subprocess
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from support import nft_contents, sandboxed

from secondhop.dataplane import node as dataplane
from secondhop.dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from secondhop.dataplane.iptables.ruleset import transactions
from secondhop.dataplane.nftables.layout import rules as nftables_rules
from secondhop.lab.iptables import Restore
from secondhop.lab.netlink import create_counters
from secondhop.lab.netns import Namespace
from secondhop.lab.nftables import Context, Loader
from secondhop.model.cluster import (
    Cluster,
    Cni,
    Endpoint,
    Family,
    Node,
    Policy,
    Proxy,
    ProxyMode,
    Service,
    ServicePort,
    ServicePortName,
)

DATA = Path(__file__).parent / "data"
PODS = ip_network("10.42.0.0/16")


def recorded_cluster(policy: Policy, cluster_ip: str, mode: ProxyMode = "iptables") -> Cluster:
    kubernetes = Service(
        "default",
        "kubernetes",
        (ServicePort("https", "TCP", 443),),
        cluster_ips=(ip_address("10.43.0.1"),),
    )
    web = Service(
        "default",
        "web",
        (ServicePort("p", "TCP", 80, 30080),),
        "NodePort",
        (ip_address(cluster_ip),),
        external_traffic_policy=policy,
    )
    return Cluster(
        nodes=(
            Node("gz1", (ip_interface("192.168.8.1/24"),), (ip_network("10.42.0.0/24"),)),
            Node("xjp1", (ip_interface("172.17.26.70/24"),), (ip_network("10.42.1.0/24"),)),
        ),
        services=(kubernetes, web),
        endpoints={
            ServicePortName("default", "kubernetes", "https", "TCP"): (
                Endpoint(ip_address("100.64.0.1"), 6443),
            ),
            ServicePortName("default", "web", "p", "TCP"): (
                Endpoint(ip_address("10.42.1.2"), 80, "web-xjp1-0", "xjp1"),
            ),
        },
        cni=Cni(pod_cidrs=(PODS,), service_cidrs=(ip_network("10.43.0.0/16"),)),
        proxy=Proxy(mode, detect_local=(PODS,)),
    )


def saved(cluster: Cluster, node: str) -> list[str]:
    namespace = Namespace.create(node)
    assert create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
    rules = dataplane.rules(cluster, cluster.node(node), counters=True)
    for text in transactions({}, rules.iptables):
        Restore(namespace, text).finish()
    with namespace:
        command = ["/usr/sbin/iptables-nft-save"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.rstrip() for line in text.splitlines() if line and line[0] != "#"]


@pytest.mark.parametrize("node", ["gz1", "xjp1"])
@pytest.mark.parametrize(
    ("scenario", "policy", "cluster_ip"),
    [("a", "Cluster", "10.43.119.94"), ("b", "Local", "10.43.97.214")],
)
def test_a_lab_node_reads_like_the_recorded_node(
    scenario: str, policy: Policy, cluster_ip: str, node: str
) -> None:
    """Chains, names, comments, targets, and the order of rules within every chain: all equal."""
    want = (DATA / f"{scenario}-{node}.rules").read_text().splitlines()
    got = sandboxed(lambda: saved(recorded_cluster(policy, cluster_ip), node))
    assert by_chain(got) == by_chain(want)


def by_chain(lines: list[str]) -> dict[tuple[str, str], list[str]]:
    """Rules by table and chain, in order. Chains that rules fill are compared by their rules."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in lines:
        word = line.split()[0]
        if word.startswith("*"):
            table = word
        elif word.startswith(":") and "-" in word:
            found.setdefault((table, word[1:]), [])
        elif word == "-A":
            found.setdefault((table, line.split()[1]), []).append(line)
    return found


def nft_tables(cluster: Cluster, node: str, recorded: str) -> tuple[list[str], list[str]]:
    """Our tables of both families, and the recorded ones, as the same kernel and nft tell them."""
    ours, theirs = Namespace.create(node), Namespace.create("recorded")
    families: tuple[Family, ...] = (4, 6)
    for family in families:
        table = nftables_rules(cluster, cluster.node(node), family)
        asyncio.run(Loader(ours).sync(table))
    Context(theirs).run(recorded)
    return nft_contents(ours), nft_contents(theirs)


@pytest.mark.parametrize("node", ["gz1", "xjp1"])
@pytest.mark.parametrize(
    ("scenario", "policy", "cluster_ip"),
    [("a", "Cluster", "10.43.211.182"), ("b", "Local", "10.43.67.90")],
)
def test_a_lab_nodes_table_reads_like_the_recorded_nodes(
    scenario: str, policy: Policy, cluster_ip: str, node: str
) -> None:
    """Sets, maps, chains, names, comments, elements, and the rules of every chain in order."""
    recorded = (DATA / f"{scenario}-{node}.nft").read_text()
    cluster = recorded_cluster(policy, cluster_ip, "nftables")
    ours, theirs = sandboxed(lambda: nft_tables(cluster, node, recorded))
    assert ours == theirs
