"""Both families and both protocols on real packets: every fate, from every kind of sender."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from conftest import Unprivileged
from families import CLIENT, NODES, dual, only, random_dual_world
from support import deployment, enter, lab, pod, service, world

from secondhop.experiment.events import Probed
from secondhop.experiment.plan import everything, flows
from secondhop.experiment.run import run
from secondhop.lab.client import Lab
from secondhop.manifests import World
from secondhop.model.cluster import Cluster, Family, Protocol, ProxyMode, Service
from secondhop.model.fate import Fate, Observation, Trial
from secondhop.model.flow import Destination, Flow, Source
from secondhop.predict import predict

FAMILIES: tuple[Family, ...] = (4, 6)
PROTOCOLS: tuple[Protocol, ...] = ("TCP", "UDP")
MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")


def on_host(name: str, node: str) -> dict[str, Any]:
    made = pod(name, node, app="host")
    made["spec"]["hostNetwork"] = True
    return made


def with_mode(of: World, mode: ProxyMode) -> World:
    return replace(of, cluster=replace(of.cluster, proxy=replace(of.cluster.proxy, mode=mode)))


def every_kind() -> World:
    """What brings about every fate."""
    balancer = dual("balanced", 30030, type="LoadBalancer")
    addresses = [{"ip": ip, "ipMode": "Proxy"} for ip in ("203.0.113.9", "2001:db8::9")]
    return world(
        lab(NODES, client=CLIENT),
        *(pod(f"{app}-0", "xjp1", app=app) for app in ("wide", "near", "inside", "balanced")),
        on_host("host-0", "xjp1"),
        dual("wide", 30000),
        dual("near", 30010, externalTrafficPolicy="Local"),
        dual("nobody", 30020),
        balancer | {"status": {"loadBalancer": {"ingress": addresses}}},
        dual("inside", type="ClusterIP", internalTrafficPolicy="Local"),
        dual("host", 30040),
    )


# Who sends to which Service where, what becomes of it over TCP (and over UDP, where a protocol
# without RST differs), and whom the pod sees.
CASES: Mapping[str, tuple[str, str, str, Fate, str]] = {
    "pod here": ("client", "wide", "xjp1", Fate.DELIVERED, "cni0@xjp1"),
    "second hop": ("client", "wide", "gz1", Fate.DELIVERED, "flannel@gz1"),
    "Local, pod here": ("client", "near", "xjp1", Fate.DELIVERED, "client"),
    "Local, no pod": ("client", "near", "gz1", Fate.DROPPED, ""),
    "no pod anywhere": ("client", "nobody", "gz1", Fate.REJECTED, ""),
    "no such port": ("client", "", "gz1", Fate.CLOSED, ""),
    "hostNetwork here": ("client", "host", "xjp1", Fate.DELIVERED, "client"),
    "hostNetwork elsewhere": ("client", "host", "gz1", Fate.DELIVERED, "gz1"),
    "cluster IP, outside": ("client", "wide", "clusterIP", Fate.UNROUTABLE, ""),
    "nobody's address": ("client", "balanced", "loadBalancerIP", Fate.LOOP, ""),
    "node, no pod anywhere": ("gz1", "nobody", "gz1", Fate.REJECTED, ""),
    "node, own node port": ("gz1", "near", "gz1", Fate.DELIVERED, "flannel@gz1"),
    "node, cluster IP": ("gz1", "wide", "clusterIP", Fate.DELIVERED, "flannel@gz1"),
    "node, iTP Local": ("gz1", "inside", "clusterIP", Fate.DROPPED, ""),
    "node, nobody's address": ("gz1", "balanced", "loadBalancerIP", Fate.LOOP, ""),
    "pod, cluster IP": ("pod@gz1", "wide", "clusterIP", Fate.DELIVERED, "pod@gz1"),
    "pod, own node port": ("pod@gz1", "near", "gz1", Fate.DELIVERED, "pod@gz1"),
    "pod, other's Local": ("pod@xjp1", "near", "gz1", Fate.DROPPED, ""),
    "pod, no pod anywhere": ("pod@gz1", "nobody", "clusterIP", Fate.REJECTED, ""),
}
VARIATIONS = [(name, f, p) for name in CASES for f in FAMILIES for p in PROTOCOLS]
MARTIAN = {("node, nobody's address", 4)}
"""A host's packet that the router returns to it: IPv4 drops what has its own source (§13.10)."""


def whose(cluster: Cluster, name: str, family: Family) -> str:
    """The address of somebody: the client, a node, its cni0, its overlay, its lone pod."""
    if name == "client":
        return str(next(i.ip for i in cluster.client if i.version == family))
    what, _, node = name.rpartition("@")
    own = cluster.node(node)
    cidr = own.pod_cidr(family)
    assert cidr
    addresses = {"cni0": cidr[1], "flannel": cidr[0], "pod": cidr[250]}
    return str(addresses.get(what, own.address(family)))


def flow_of(cluster: Cluster, name: str, family: Family, protocol: Protocol) -> Flow:
    sender, app, where, _, _ = CASES[name]
    kind, node = ("client", None) if sender == "client" else ("node", sender.rpartition("@")[2])
    kind = "pod" if sender.startswith("pod") else kind
    source = Source(kind, sender, ip_address(whose(cluster, sender, family)), node)  # type: ignore[arg-type]
    target = next((one for one in cluster.services if one.name == app), None)
    port = next((p for p in target.ports if p.protocol == protocol), None) if target else None
    if where in ("gz1", "xjp1"):
        number, address = port.node_port if port else 31999, cluster.node(where).address(family)
        assert address
        return Flow(source, Destination("nodePort", address, number, protocol, where))
    assert target is not None
    assert port is not None
    if where == "clusterIP":
        address = target.cluster_ip(family)
        assert address
        return Flow(source, Destination("clusterIP", address, port.port, protocol))
    address = next(i.ip for i in target.ingress if i.ip.version == family)
    return Flow(source, Destination("loadBalancerIP", address, port.port, protocol), via="gz1")


@pytest.fixture(scope="module", params=MODES)
def seen(request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, dict[Any, Observation]]]:
    """All variations, tried on one lab."""
    cluster = with_mode(every_kind(), request.param).cluster
    planned = {variation: flow_of(cluster, *variation) for variation in VARIATIONS}
    found: dict[Any, Observation] = {}
    with Lab() as running:
        ready = running.start(cluster)
        assert all(ready.values()), running.notes
        running.program(cluster)
        for via in (None, "gz1"):
            together = {v: flow for v, flow in planned.items() if flow.via == via}
            tried = running.observe(list(together.values()), 6)
            found |= dict(zip(together, (observed for observed, _ in tried), strict=True))
        yield cluster, found


@pytest.mark.parametrize(("name", "family", "protocol"), VARIATIONS)
def test_every_fate(
    seen: tuple[Cluster, dict[Any, Observation]], name: str, family: Family, protocol: Protocol
) -> None:
    cluster, found = seen
    observed = found[name, family, protocol]
    *_, fate, source = CASES[name]
    if (name, family) in MARTIAN:
        fate = Fate.DROPPED
    if fate is Fate.CLOSED and protocol == "UDP":
        fate = Fate.REJECTED  # nothing but ICMP can refuse a datagram
    assert observed.fate is fate, observed.evidence
    assert {one.source_ip for one in observed.seen} == (
        {whose(cluster, source, family)} if source else set()
    )
    predicted = predict(cluster, flow_of(cluster, name, family, protocol))
    assert Trial("Cluster", flow_of(cluster, name, family, protocol), predicted, observed).agree


@pytest.mark.parametrize(("name", "family", "protocol"), VARIATIONS)
def test_the_evidence_names_who_refused(
    seen: tuple[Cluster, dict[Any, Observation]], name: str, family: Family, protocol: Protocol
) -> None:
    """The rule, although flannel may have replaced the packet's source before it came to it."""
    evidence = seen[1][name, family, protocol].evidence
    icmp = "ICMP " if family == 4 else "ICMPv6 "
    if name in ("Local, no pod", "node, iTP Local", "pod, other's Local"):
        assert "hit " in evidence
        assert ("not sent (EPERM)" in evidence) == (protocol == "UDP" and name.startswith("node"))
    if name in ("no pod anywhere", "pod, no pod anywhere"):
        assert evidence.startswith(f"6 of 6: {icmp}{'3/3' if family == 4 else '1/4'} from ")
        assert "by " in evidence
    if name == "cluster IP, outside":
        assert evidence.startswith(f"6 of 6: {icmp}{'3/0' if family == 4 else '1/0'} from ")
    if name == "nobody's address":
        assert evidence.startswith(f"6 of 6: {icmp}{'11/0' if family == 4 else '3/0'} from ")


def trials(of: World, **options: Any) -> list[Trial]:
    with Lab() as throw_away:
        events = run(throw_away, of, of.cluster.services[0], **options)
        return [event.trial for event in events if isinstance(event, Probed)]


def told(made: list[Trial]) -> list[tuple[object, ...]]:
    return [
        (
            t.policy,
            t.flow.destination.node,
            t.flow.destination.address.version,
            t.flow.destination.protocol,
            str(t.observed.fate),
            sorted({seen.source_ip for seen in t.observed.seen}),
            sorted(t.observed.hops),
        )
        for t in made
    ]


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_experiment_over_ipv6_alone(mode: ProxyMode) -> None:
    described = lab(
        only(6),
        client={"address": "fd00:192:168:22::2"},
        network={"podCIDR": "fd00:10:42::/48", "serviceCIDR": "fd00:10:43::/112"},
        placement={"web": "xjp1"},
    )
    made = trials(with_mode(world(described, deployment(), service()), mode))
    assert told(made) == [
        ("Cluster", "xjp1", 6, "TCP", "delivered", ["fd00:10:42:1::1"], [1]),
        ("Cluster", "gz1", 6, "TCP", "delivered", ["fd00:10:42::"], [2]),
        ("Local", "xjp1", 6, "TCP", "delivered", ["fd00:192:168:22::2"], [1]),
        ("Local", "gz1", 6, "TCP", "dropped", [], []),
    ]
    assert all(t.agree for t in made)
    assert "hit " in made[3].observed.evidence


@pytest.mark.parametrize("first", [4, 6])
def test_a_row_for_each_family_and_protocol(first: int) -> None:
    """Whichever family comes first."""
    order = 1 if first == 4 else -1
    nodes = [
        {key: values[::order] if isinstance(values, list) else values for key, values in n.items()}
        for n in NODES
    ]
    client = {"addresses": CLIENT["addresses"][::order]}
    described = lab(nodes, client=client, placement={"web": "xjp1"})
    made = trials(world(described, deployment(), dual("web", 30080)))
    assert all(t.agree for t in made)
    rows = [
        (t.policy, t.flow.destination.protocol, t.flow.destination.address.version)
        for t in made
        if t.flow.destination.node == "gz1"
    ]
    families = (first, 10 - first)
    assert rows == [
        (policy, protocol, version)
        for policy in ("Cluster", "Local")
        for protocol in PROTOCOLS
        for version in families
    ]


def test_slices_of_both_families_may_name_one_pod() -> None:
    """And no Pod is in the input."""
    slices = [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"web-{kind[-1]}",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "addressType": kind,
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP"},
                {"name": "dns", "port": 53, "protocol": "UDP"},
            ],
            "endpoints": [{"addresses": [ip], "targetRef": {"kind": "Pod", "name": "web-0"}}],
        }
        for kind, ip in (("IPv4", "10.42.1.7"), ("IPv6", "fd00:10:42:1::7"))
    ]
    made = trials(world(lab(NODES, client=CLIENT), dual("web", 30080), *slices))
    assert [t for t in made if not t.agree] == []
    assert {seen.pod for t in made for seen in t.observed.seen} == {"web-0"}


def test_host_gw_shows_the_entry_nodes_own_addresses() -> None:
    nodes = [
        NODES[0] | {"addresses": ["192.168.22.10", "fd00:192:168:22::10"]},
        NODES[1] | {"addresses": ["192.168.22.11", "fd00:192:168:22::11"]},
    ]
    network = {"backend": "host-gw"}
    described = lab(nodes, client=CLIENT, network=network, placement={"web": "xjp1"})
    made = trials(world(described, deployment(), dual("web", 30080)))
    assert all(t.agree for t in made)
    second = [t for t in made if t.flow.destination.node == "gz1" and t.policy == "Cluster"]
    assert {s.source_ip for t in second for s in t.observed.seen} == {
        "192.168.22.10",
        "fd00:192:168:22::10",
    }


def test_only_nodes_that_have_the_family_have_rows() -> None:
    single = {"name": "old", "address": "192.168.9.1", "podCIDR": "10.42.2.0/24"}
    described = lab([*NODES, single], client=CLIENT, placement={"web": "old"})
    made = trials(world(described, deployment(), dual("web", 30080)))
    assert all(t.agree for t in made)
    versions = {(t.flow.destination.node, t.flow.destination.address.version) for t in made}
    assert versions == {("gz1", 4), ("gz1", 6), ("xjp1", 4), ("xjp1", 6), ("old", 4)}


def disagreements(seed: int, mode: ProxyMode) -> list[Trial]:
    """From everybody to everywhere, in a world that is drawn."""
    of = with_mode(random_dual_world(seed), mode)
    with Lab() as throw_away:
        events = run(throw_away, of, of.cluster.services[0], everything)
        made = [event.trial for event in events if isinstance(event, Probed)]
    assert made
    return [trial for trial in made if not trial.agree]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_any_lab_of_both_families_agrees(seed: int, mode: ProxyMode) -> None:
    assert disagreements(seed, mode) == []


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_two_hundred_labs_of_both_families_agree(seed: int, mode: ProxyMode) -> None:
    assert disagreements(seed, mode) == []


def test_the_first_ipv6_burst_is_never_lost() -> None:
    """Trap 11: a fresh neighbour loses some of a burst's SYNs, each of which costs a second."""
    built = world(
        lab(NODES, client=CLIENT, placement={"web": "xjp1"}), deployment(), dual("web", 30080)
    )
    chosen: Service = built.cluster.services[0]
    for _ in range(8):
        with Lab() as fresh:
            fresh.start(built.cluster)
            fresh.program(built.cluster)
            sixes = [f for f in flows(built.cluster, chosen) if f.source.ip.version == 6]
            for observed, _ in fresh.observe(sixes, 24):
                assert observed.fates == {Fate.DELIVERED: 24}, observed.evidence
                assert max(observed.connect_ms, default=0) < 500, "a retransmission"


@pytest.fixture(scope="module")
def standing() -> Iterator[Lab]:
    with Lab() as started:
        cluster = every_kind().cluster
        started.start(cluster)
        started.program(cluster)
        yield started


def test_devices_addresses_and_routes_are_flannels(standing: Lab) -> None:
    def shown(where: str, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(enter(standing, where, "ip", "-j", *words).stdout)
        return found

    addresses = {
        (link["ifname"], one["local"], one["prefixlen"])
        for link in shown("node/xjp1", "-6", "address")
        for one in link["addr_info"]
        if one["scope"] == "global"
    }
    assert addresses == {
        ("eth0", "fd00:172:17:26::70", 64),
        ("cni0", "fd00:10:42:1::1", 64),
        ("flannel-v6.1", "fd00:10:42:1::", 128),
    }
    ways = {(r["dst"], r.get("gateway"), r["dev"]) for r in shown("node/xjp1", "-6", "route")}
    assert ("fd00:10:42::/64", "fd00:10:42::", "flannel-v6.1") in ways
    assert ("default", "fd00:172:17:26:ffff:ffff:ffff:fffe", "eth0") in ways
    (overlay,) = shown("node/xjp1", "-d", "link", "show", "flannel-v6.1")
    data = overlay["linkinfo"]["info_data"]
    assert (data["id"], data["port"], data["learning"]) == (1, 8472, False)
    assert data["local6"] == "fd00:172:17:26::70"
    assert overlay["mtu"] == 1430


def test_the_router_knows_no_way_to_pods_or_services(standing: Lab) -> None:
    routes = enter(standing, "router", "ip", "-6", "route").stdout
    assert "fd00:10:" not in routes
    assert "default" not in routes


def test_an_outside_observer_agrees(standing: Lab) -> None:
    """curl, whose code is nobody's here."""
    url = "http://[fd00:192:168:8::1]:30000/"
    body = enter(standing, "client", "curl", "-s", "--connect-timeout", "1", url).stdout
    assert "RemoteAddr: [fd00:10:42::]:" in body
    assert "IP: fd00:10:42:1::2\n" in body
    url = "http://192.168.8.1:30000/"
    body = enter(standing, "client", "curl", "-s", "--connect-timeout", "1", url).stdout
    assert "RemoteAddr: 10.42.0.0:" in body


def test_an_ordinary_user_may_have_both_families(unprivileged: Unprivileged) -> None:
    file = unprivileged.home / "dual.json"
    objects = [lab(NODES, client=CLIENT), deployment(replicas=3), dual("web", 30080)]
    file.write_text("\n---\n".join(json.dumps(one) for one in objects))
    os.chmod(file, 0o644)
    done = unprivileged.run("run", "-f", str(file), "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["trials"]) == 16
