"""The wiring as the kernel tells it to others (iproute2, curl), and the traps of stack.md in it."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest
from conftest import Unprivileged
from support import deployment, enter, lab, pod, reference, sandboxed, service, world

from secondhop.errors import LabError
from secondhop.experiment.plan import flows
from secondhop.lab import barrier
from secondhop.lab.client import Lab
from secondhop.lab.netns import Namespace
from secondhop.lab.rtnetlink import Netlink
from secondhop.lab.wiring import Wiring
from secondhop.model.cluster import Proxy

WEB = "pod/default/web-0"
BOTH_ON_XJP1 = world(pod("web-0", "xjp1"), pod("web-1", "xjp1"), service())


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with Lab() as started:
        started.start(BOTH_ON_XJP1.cluster)
        started.program(BOTH_ON_XJP1.cluster)
        yield started


def links(of: Lab, where: str) -> dict[str, dict[str, Any]]:
    shown = enter(of, where, "ip", "-json", "-details", "link", "show").stdout
    return {link["ifname"]: link for link in json.loads(shown)}


def read(of: Lab, where: str, key: str) -> str:
    return enter(of, where, "cat", f"/proc/sys/net/{key}").stdout.strip()


def test_devices_addresses_and_routes_are_flannels(running: Lab) -> None:
    addresses = enter(running, "node/xjp1", "ip", "-4", "-brief", "address").stdout
    assert re.search(r"eth0@\S+ +UP +172\.17\.26\.70/24", addresses)
    assert re.search(r"cni0 +UP +10\.42\.1\.1/24", addresses)
    assert re.search(r"flannel\.1 +UNKNOWN +10\.42\.1\.0/32", addresses)
    routes = enter(running, "node/xjp1", "ip", "route").stdout
    assert "10.42.0.0/24 via 10.42.0.0 dev flannel.1" in routes
    assert "default via 172.17.26.254 dev eth0" in routes
    shown = links(running, "node/xjp1")["flannel.1"]
    data = shown["linkinfo"]["info_data"]
    assert (data["id"], data["port"], data["learning"]) == (1, 8472, False)
    assert shown["mtu"] == 1450


def test_the_router_knows_no_way_to_pods_or_services(running: Lab) -> None:
    routes = enter(running, "router", "ip", "route").stdout
    assert "10.4" not in routes
    assert "default" not in routes


@pytest.mark.parametrize("where", ["router", "node/gz1", "node/xjp1"])
def test_settings_do_not_depend_on_the_hosts(running: Lab, where: str) -> None:
    """Trap 8: a new namespace may inherit them, so each is written."""
    assert read(running, where, "ipv4/conf/all/rp_filter") == "0"
    for device in links(running, where):
        if device != "lo":
            assert read(running, where, f"ipv4/conf/{device}/rp_filter") == "0", device
        if device not in ("lo", "port0", "port1", "port2"):
            assert read(running, where, f"ipv4/conf/{device}/forwarding") == "1", device
            if where != "router":
                assert read(running, where, f"ipv4/conf/{device}/route_localnet") == "1", device
    assert read(running, where, "ipv4/icmp_ratelimit") == "0"  # trap 11
    assert read(running, where, "ipv4/icmp_msgs_per_sec") == "100000"
    assert read(running, where, "ipv4/icmp_msgs_burst") == "10000"


@pytest.mark.parametrize(("accepted", "want"), [((), "1"), ((ip_network("10.0.0.0/8"),), "0")])
def test_localhost_is_routed_where_node_ports_answer_there(accepted: Any, want: str) -> None:
    cluster = replace(BOTH_ON_XJP1.cluster, proxy=Proxy(node_port_addresses=accepted))
    with Lab() as lab:
        lab.start(cluster)
        assert read(lab, "node/gz1", "ipv4/conf/all/route_localnet") == "0"
        for device in set(links(lab, "node/gz1")) - {"lo"}:
            assert read(lab, "node/gz1", f"ipv4/conf/{device}/route_localnet") == want, device


def test_the_pods_bridge_is_pinned_and_its_ports_hairpin(running: Lab) -> None:
    """Trap 10: an unpinned bridge changes its address as pods come and go."""
    shown = links(running, "node/xjp1")
    ports = [link for link in shown.values() if link.get("master") == "cni0"]
    assert len(ports) == 2
    assert all(port["linkinfo"]["info_slave_data"]["hairpin"] for port in ports)
    assert all(port["linkinfo"]["info_slave_data"]["state"] == "forwarding" for port in ports)
    assert shown["cni0"]["address"] == "0a:58:0a:2a:01:01"
    assert shown["cni0"]["linkinfo"]["info_data"]["nf_call_iptables"] == 1


def test_a_pod_reaches_its_nodes_pods_and_itself_through_the_cluster_ip(running: Lab) -> None:
    """Trap 10: needs bridge-nf-call-iptables and hairpin ports."""
    cluster_ip = BOTH_ON_XJP1.cluster.services[0].cluster_ips[0]
    answered = set()
    for _ in range(40):
        curl = enter(running, WEB, "curl", "-s", "--max-time", "1", f"http://{cluster_ip}/")
        assert curl.returncode == 0
        answered.add(curl.stdout.splitlines()[0])
        if len(answered) == 2:
            break
    assert answered == {"Hostname: web-0", "Hostname: web-1"}


def test_no_mount_is_made(running: Lab) -> None:
    """Trap 7: then it also works where mounting is forbidden."""
    theirs = Path(f"/proc/{running.pid}/mounts").read_text().splitlines()
    assert sorted(theirs) == sorted(Path("/proc/self/mounts").read_text().splitlines())


def test_the_first_packet_is_never_lost() -> None:
    """Trap 2: without the readiness barrier a few in a hundred are, and pay a second."""
    built, chosen = reference()
    for _ in range(25):
        with Lab() as fresh:
            fresh.start(built.cluster)
            fresh.program(built.cluster)
            for flow in flows(built.cluster, chosen):
                ((observed, _),) = fresh.observe([flow], 3)
                assert observed.fates == {observed.fate: 3}, observed.evidence
                assert max(observed.connect_ms) < 500, "a retransmission"


def test_a_large_service_loads_under_the_socket_limit(unprivileged: Unprivileged) -> None:
    """Trap 1: unprivileged, a transaction must fit 212,992 bytes; 120 pods in one do not."""
    limit = Path("/proc/sys/net/core/wmem_max")
    before = limit.read_text()
    large = unprivileged.home / "large.json"
    objects = [deployment(replicas=120), service()]
    large.write_text("\n---\n".join(json.dumps(one) for one in objects))
    large.chmod(0o644)
    try:
        if os.geteuid() == 0:
            limit.write_text("212992")  # what users have, whatever this machine was set to
        done = unprivileged.run("run", "-f", str(large), "-o", "json")
    finally:
        if os.geteuid() == 0:
            limit.write_text(before)
    assert done.returncode == 0, done.stderr


def test_a_full_subnet_has_no_room_for_the_router() -> None:
    built = reference()[0].cluster
    gz1 = replace(built.nodes[0], addresses=(ip_interface("192.168.8.1/32"),))
    full = replace(built, nodes=(gz1, *built.nodes[1:]))
    with Lab() as crowded, pytest.raises(LabError, match=r"192\.168\.8\.1/32 has no address left"):
        crowded.start(full)


def test_the_kernels_complaint_names_the_request() -> None:
    def twice() -> str:
        netlink = Netlink(Namespace.create("node"))
        for _ in range(2):
            netlink.bridge("cni0", 4, mac="0a580a2a0001", mtu=1450)
        try:
            netlink.commit()
        except LabError as error:
            return error.message
        return ""

    assert "refused to create cni0 in node: File exists (EEXIST)" in sandboxed(twice)


def test_the_barrier_sees_a_link_that_is_not_up() -> None:
    def missing() -> str:
        barrier._SECONDS = 0.05
        built = Wiring(reference()[0].cluster)
        far = Namespace.create("far")
        near = built.client
        near.veth("near", 50, "far", 51, far, mac="020000000001", peer_mac="020000000002")
        near.commit()
        try:
            built.wait_ready()
        except LabError as error:
            return error.message
        return ""

    assert "client: ['near']" in sandboxed(missing)


MANAGED = [
    {"name": name, "addresses": [f"192.168.{n}.1", f"192.168.{n}.101", f"100.64.0.1{n}"]}
    for n, name in ((8, "gz1"), (9, "sha1"))
]


def test_a_node_has_all_its_addresses() -> None:
    """Second ones on eth0, and a network of its own for management: from everywhere, both ways."""
    built = world(lab(MANAGED, placement={"web": "sha1"}), deployment(), service())
    with Lab() as started:
        started.start(built.cluster)
        started.program(built.cluster)
        shown = enter(started, "node/gz1", "ip", "-4", "-brief", "address").stdout
        assert re.search(r"eth0@\S+ +UP +192\.168\.8\.1/24 192\.168\.8\.101/24 *\n", shown)
        assert re.search(r"eth1@\S+ +UP +100\.64\.0\.18/24 *\n", shown)
        routes = enter(started, "node/gz1", "ip", "route").stdout
        assert routes.count("default") == 1
        for sender in ("client", "node/sha1"):
            for address in ("192.168.8.101", "100.64.0.18"):
                curl = ["curl", "-s", "--connect-timeout", "1", f"http://{address}:30080/"]
                assert "Hostname: web-" in enter(started, sender, *curl).stdout


def test_eth0_is_a_nodes_first_device() -> None:
    """What a node sends to its own hostNetwork pod is masqueraded on lo, which has no address to
    lend: the kernel takes the first device's, and predictions say the NIC's (the lab was wrong)."""
    for number in (0, 1):
        host = pod("web-0", ("gz1", "sha1")[number])
        host["spec"]["hostNetwork"] = True
        built = world(lab(MANAGED), host, service())
        with Lab() as started:
            started.start(built.cluster)
            started.program(built.cluster)
            node, own = MANAGED[number]["name"], MANAGED[number]["addresses"][0]
            curl = ["curl", "-s", "--connect-timeout", "1", f"http://{own}:30080/"]
            assert f"RemoteAddr: {own}:" in enter(started, f"node/{node}", *curl).stdout
