"""One connection, hop by hop: what packets and the kernel's rules say, beside the prediction."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from families import CLIENT as FAMILIES
from families import NODES, dual
from jsonschema import Draft202012Validator
from staying import Secondhop
from support import deployment, enter, lab, pod, service, world

from secondhop.cli.flow import read_flow
from secondhop.experiment.trace import compare, start
from secondhop.lab.client import Lab
from secondhop.manifests import with_policy
from secondhop.model.cluster import Cluster, Endpoint, Family, Policy, Protocol, ProxyMode, Service
from secondhop.model.fate import Fate
from secondhop.model.trace import Rule, Trace
from secondhop.report.json.trace import trace as document_of
from secondhop.report.pcapng import capture
from secondhop.report.schema import schema
from secondhop.report.trace import trace as told

POLICIES: tuple[Policy, Policy] = ("Cluster", "Local")
MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")
CLIENT, GZ1, XJP1 = "192.168.22.2", "192.168.8.1", "172.17.26.70"
POD = "10.42.1.2"
BALANCER = "203.0.113.7"


@dataclass
class Made:
    """A lab with a pod on xjp1, behind a node port, and behind an IP with source ranges."""

    lab: Lab
    cluster: Cluster
    mode: ProxyMode

    def shown(self, cluster: Cluster) -> None:
        self.lab.program(cluster)
        self.cluster = cluster

    def trace(self, sender: str, to: str, via: str | None = None) -> Trace:
        dialled, flow = read_flow(self.cluster, sender, to, via, "default")
        place = start(self.cluster, flow, "default")
        return compare(self.cluster, dialled, flow, self.lab.trace(place, flow))


@pytest.fixture(scope="module", params=MODES)
def made(request: pytest.FixtureRequest, able: None) -> Iterator[Made]:
    fenced = service(
        "fenced",
        node_port=30090,
        type="LoadBalancer",
        selector={"app": "web"},
        loadBalancerSourceRanges=["192.0.2.0/24"],
    )
    fenced["status"] = {"loadBalancer": {"ingress": [{"ip": BALANCER}]}}
    both = dual("web", 30080)
    both["spec"]["ports"][1]["port"] = 9999  # on 53 tshark takes any datagram for DNS
    built = world(
        lab(NODES, client=FAMILIES),
        pod("web-0", "xjp1"),
        pod("other-0", "gz1", app="other"),
        both,
        fenced,
    )
    proxy = replace(built.cluster.proxy, mode=request.param)
    cluster = replace(built.cluster, proxy=proxy)
    with Lab() as throw_away:
        throw_away.start(cluster)
        yield Made(throw_away, cluster, request.param)


def one(cluster: Cluster, name: str) -> Service:
    return next(service for service in cluster.services if service.name == name)


def under(made: Made, policy: Policy) -> Made:
    made.shown(with_policy(made.cluster, one(made.cluster, "web"), policy))
    return made


def changes(trace: Trace) -> list[tuple[str, str]]:
    """Where the request was translated, and how."""
    return [(f"{s.place}/{s.device}", s.change) for s in trace.ways[0].sightings if s.change]


def texts(rules: Sequence[Rule]) -> str:
    return "\n".join(rule.text for rule in rules)


def fields(trace: Trace) -> set[str]:
    return {rule.field for rule in trace.ways[0].rules if rule.field}


def opened_by_tshark(trace: Trace, folder: Path) -> list[dict[str, str]]:
    """What tshark reads of the capture: it must have nothing to complain of."""
    file = folder / "trace.pcapng"
    file.write_bytes(capture(trace))
    columns = ["frame.interface_name", "frame.comment", "_ws.malformed"]
    command = ["tshark", "-r", str(file), "-T", "fields", "-E", "separator=|", "-E", "occurrence=l"]
    for column in columns:
        command += ["-e", column]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert complaints == []
    rows = [dict(zip(columns, line.split("|"), strict=True)) for line in done.stdout.splitlines()]
    assert len(rows) == len(trace.frames)
    assert not any(row["_ws.malformed"] for row in rows)
    for row, frame in zip(rows, trace.frames, strict=True):
        assert row["frame.interface_name"] == f"{frame.place.removeprefix('node/')}/{frame.device}"
    return rows


def check(trace: Trace, folder: Path) -> None:
    """What holds of every trace: it went as predicted, every form of report takes it."""
    assert trace.agree, [station for station in trace.stations if not station.same]
    rows = opened_by_tshark(trace, folder)
    translated = sum(bool(s.change) for way in trace.ways for s in way.sightings)
    lost = sum(way.dropped_by is not None and way.sightings != () for way in trace.ways)
    assert sum(bool(row["frame.comment"]) for row in rows) == translated + lost
    document = json.loads(document_of(trace, trace.cluster.kube_version, 0.1, []))
    assert list(Draft202012Validator(schema("Trace")).iter_errors(document)) == []
    for verbose in False, True:
        lines = list(told(trace, 0.1, verbose=verbose))
        assert max(map(len, lines)) <= 100


def test_cluster_through_the_pods_own_node(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Cluster").trace("client", f"{XJP1}:30080")
    check(trace, tmp_path)
    assert changes(trace) == [("node/xjp1/cni0", "DNAT and SNAT")]
    assert trace.ways[0].sightings[-1].addresses[2:4] == (POD, 80)
    assert trace.ways[0].sightings[-1].addresses.source == "10.42.1.1"
    assert "Service default/web spec.externalTrafficPolicy=Cluster" in fields(trace)


def test_cluster_through_the_other_node_is_a_second_hop(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Cluster").trace("client", f"{GZ1}:30080")
    check(trace, tmp_path)
    way = trace.ways[0]
    assert changes(trace) == [("node/gz1/flannel.1", "DNAT and SNAT")]
    carried = [s for s in way.sightings if s.outer]
    assert {(s.outer.source, s.outer.destination) for s in carried if s.outer} == {(GZ1, XJP1)}
    assert [s.place for s in carried] == ["node/gz1", *["router"] * 4, "node/xjp1"]
    assert way.sightings[-1].addresses.source == "10.42.0.0"
    assert way.sightings[0].seconds == 0
    assert all(
        a.seconds <= b.seconds for a, b in zip(way.sightings, way.sightings[1:], strict=False)
    )
    answer = next(w for w in trace.ways if not w.request)
    assert answer.packet == "SYN-ACK"
    assert answer.sightings[0].place == "pod/web-0"
    assert answer.sightings[-1].place == "client"
    assert answer.sightings[-1].addresses == way.origin.back
    states = {rule.state for rule in way.rules if rule.state}
    assert states <= {"NEW"}
    assert {rule.state for rule in answer.rules if rule.state} <= {"ESTABLISHED"}
    if made.mode == "iptables":
        assert f"-j DNAT --to-destination {POD}:80" in texts(way.rules)
        assert "-A KUBE-POSTROUTING -m comment" in texts(way.rules)
    else:
        assert "element ip kube-proxy service-nodeports { tcp . 30080 : goto external-" in texts(
            way.rules
        )
        assert "masquerade fully-random" in texts(way.rules)


def test_local_keeps_the_source(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Local").trace("client", f"{XJP1}:30080")
    check(trace, tmp_path)
    assert changes(trace) == [("node/xjp1/cni0", "DNAT")]
    assert trace.ways[0].sightings[-1].addresses.source == CLIENT
    assert "Service default/web spec.externalTrafficPolicy=Local" in fields(trace)


def test_local_without_a_pod_drops_and_the_rule_is_named(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Local").trace("client", f"{GZ1}:30080")
    check(trace, tmp_path)
    assert trace.recording.fate is Fate.DROPPED
    rule = trace.ways[0].dropped_by
    assert rule is not None
    assert rule.node == "gz1"
    assert rule.field == "Service default/web spec.externalTrafficPolicy=Local"
    assert rule.text.startswith(
        "-A KUBE-EXTERNAL-SERVICES -p tcp -m comment"
        if made.mode == "iptables"
        else "element ip kube-proxy no-endpoint-nodeports { tcp . 30080 comment "
    )
    assert trace.ways[0].sightings[-1].place == "node/gz1"
    lines = " ".join(told(trace, 0.1, verbose=False))
    assert "The SYN was dropped on gz1, by" in lines


@pytest.mark.parametrize(("family", "protocol"), [(4, "UDP"), (6, "TCP"), (6, "UDP")])
def test_the_four_rows_in_other_families_and_protocols(
    made: Made, family: Family, protocol: Protocol, tmp_path: Path
) -> None:
    port = {"TCP": 30080, "UDP": 30081}[protocol]
    client = next(i.ip for i in made.cluster.client if i.version == family)
    seen = []
    for policy in POLICIES:
        under(made, policy)
        for node in reversed(made.cluster.nodes):
            ip = node.address(family)
            to = f"[{ip}]:{port}/{protocol}" if family == 6 else f"{ip}:{port}/{protocol}"
            trace = made.trace("client", to)
            check(trace, tmp_path)
            assert trace.ways[0].origin.source == str(client)
            [change, *_] = changes(trace) or [("", "")]
            seen.append((*change, str(trace.recording.fate)))
    overlay = "flannel.1" if family == 4 else "flannel-v6.1"
    assert seen == [
        ("node/xjp1/cni0", "DNAT and SNAT", "delivered"),
        (f"node/gz1/{overlay}", "DNAT and SNAT", "delivered"),
        ("node/xjp1/cni0", "DNAT", "delivered"),
        ("", "", "dropped"),
    ]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_node_refuses_before_any_interface(
    made: Made, protocol: Protocol, tmp_path: Path
) -> None:
    """A process of the node asks for an unserved cluster IP: only rules saw the packet."""
    before = under(made, "Cluster").cluster
    made.shown(replace(before, endpoints=dict.fromkeys(before.endpoints, ())))
    try:
        port = {"TCP": 80, "UDP": 9999}[protocol]
        to = f"{one(before, 'web').cluster_ips[0]}:{port}/{protocol}"
        trace = made.trace("node/gz1", to)
        check(trace, tmp_path)
        assert trace.recording.fate is Fate.REJECTED
        assert trace.ways[0].sightings == ()
        assert trace.ways[0].dropped_by is not None
    finally:
        made.shown(before)


def test_a_loop_circles(made: Made, tmp_path: Path) -> None:
    """A port that the Service of the address does not have, sent back by the router."""
    trace = under(made, "Cluster").trace("client", f"{BALANCER}:81", "gz1")
    check(trace, tmp_path)
    assert trace.recording.fate is Fate.LOOP
    ttls = [s.ttl for s in trace.ways[0].sightings if s.place == "node/gz1"]
    assert ttls == sorted(ttls, reverse=True)
    assert len(set(ttls)) > 20
    assert any("it circles" in line for line in told(trace, 0.1, verbose=False))


def test_hairpin(made: Made, tmp_path: Path) -> None:
    """A pod that is given to itself sees the bridge's address, not its own."""
    cluster_ip = one(under(made, "Cluster").cluster, "web").cluster_ips[0]
    trace = made.trace("pod/web-0", f"{cluster_ip}:80")
    check(trace, tmp_path)
    assert trace.ways[0].sightings[0].place == trace.ways[0].sightings[-1].place == "pod/web-0"
    assert {where.split("/")[1] for where, _ in changes(trace)} == {"xjp1"}
    assert trace.ways[0].sightings[-1].addresses.source == "10.42.1.1"
    assert any("hairpin" in rule.what for rule in trace.ways[0].rules)


@pytest.mark.parametrize("to", ["127.0.0.1:80", f"{POD}:80", "127.0.0.1:81", "[::1]:80"])
def test_what_a_pod_sends_to_itself_meets_no_node(made: Made, to: str, tmp_path: Path) -> None:
    trace = under(made, "Local").trace("pod/web-0", to)
    check(trace, tmp_path)
    assert {s.place for way in trace.ways for s in way.sightings} == {"pod/web-0"}
    assert trace.recording.fate is (Fate.CLOSED if to.endswith("81") else Fate.DELIVERED)
    seen = trace.recording.seen
    assert seen is None or f"{seen.source_ip}" == to.rsplit(":", 1)[0].strip("[]")


def test_a_process_of_a_node_is_translated_before_any_interface(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Local").trace("node/gz1", f"{GZ1}:30080")
    check(trace, tmp_path)
    assert changes(trace)[0] == ("node/gz1/flannel.1", "DNAT and SNAT")
    assert trace.ways[0].origin[2:4] == (GZ1, 30080)


def test_a_pod_leaves_with_its_nodes_address(made: Made, tmp_path: Path) -> None:
    """flannel's own masquerade: to another node's port a pod comes from outside."""
    trace = under(made, "Local").trace("pod/other-0", f"{XJP1}:30080")
    check(trace, tmp_path)
    assert changes(trace)[0] == ("node/gz1/eth0", "SNAT")
    flannel = [rule for rule in trace.ways[0].rules if rule.owner == "flannel" and rule.what]
    assert "flannel's --ip-masq" in flannel[0].what


def test_a_terminating_pod_still_serves(made: Made, tmp_path: Path) -> None:
    endpoints = under(made, "Local").cluster.endpoints
    name = next(n for n in endpoints if (n.service, n.protocol) == ("web", "TCP"))
    ending = replace(endpoints[name][0], ready=False, terminating=True)
    before = made.cluster
    made.shown(replace(before, endpoints={**before.endpoints, name: (ending,)}))
    try:
        trace = made.trace("client", f"{XJP1}:30080")
        check(trace, tmp_path)
        assert trace.recording.fate is Fate.DELIVERED
        assert "terminating" in trace.predicted.reason
    finally:
        made.shown(before)


def test_a_source_range_drops(made: Made, tmp_path: Path) -> None:
    trace = under(made, "Cluster").trace("pod/other-0", f"{BALANCER}:80")
    check(trace, tmp_path)
    assert trace.recording.fate is Fate.DROPPED
    rule = trace.ways[0].dropped_by
    assert rule is not None
    assert rule.field == "Service default/fenced spec.loadBalancerSourceRanges"
    wanted = "KUBE-PROXY-FIREWALL" if made.mode == "iptables" else "rule ip kube-proxy firewall-"
    assert wanted in rule.text


def test_rejected_without_endpoints(made: Made, tmp_path: Path) -> None:
    before = under(made, "Cluster").cluster
    none: dict[Any, tuple[Endpoint, ...]] = dict.fromkeys(before.endpoints, ())
    made.shown(replace(before, endpoints=none))
    try:
        trace = made.trace("client", f"{GZ1}:30080")
        check(trace, tmp_path)
        assert trace.recording.fate is Fate.REJECTED
        answer = next(way for way in trace.ways if not way.request)
        assert answer.packet == "ICMP 3/3"
        assert answer.sightings[-1].place == "client"
    finally:
        made.shown(before)


@pytest.mark.parametrize(
    ("where", "plant", "remove", "line"),
    [
        (
            "node/xjp1",
            f"iptables-nft -I FORWARD -d {POD} -p tcp -m comment --comment oops -j DROP",
            f"iptables-nft -D FORWARD -d {POD} -p tcp -m comment --comment oops -j DROP",
            f"-A FORWARD -d {POD}/32 -p tcp -m comment --comment oops -j DROP",
        ),
        (
            "node/gz1",
            "nft add table ip odd; add chain ip odd late { type filter hook postrouting"
            " priority 300; }; add rule ip odd late tcp dport 80 drop",
            "nft delete table ip odd",
            "rule ip odd late tcp dport 80 drop",
        ),
    ],
)
def test_a_planted_rule_is_named_by_its_line(
    made: Made, where: str, plant: str, remove: str, line: str, tmp_path: Path
) -> None:
    under(made, "Cluster")
    program, _, rest = plant.partition(" ")
    command = [program, rest] if program == "nft" else plant.split()
    assert enter(made.lab, where, *command).returncode == 0
    try:
        trace = made.trace("client", f"{GZ1}:30080")
    finally:
        assert enter(made.lab, where, *remove.split()).returncode == 0
    assert not trace.agree
    assert trace.lost is not None
    assert trace.lost.dropped_by is not None
    rule = trace.lost.dropped_by
    assert (rule.text, rule.owner, f"node/{rule.node}") == (line, "", where)
    lines = "\n".join(told(trace, 0.1, verbose=False))
    assert line in lines
    assert "DIFFERENT" in lines
    opened_by_tshark(trace, tmp_path)


def test_tracing_changes_no_outcome_and_leaves_nothing(made: Made) -> None:
    """The same flows with and without, and the same rules before and after."""
    for policy, address in (("Cluster", GZ1), ("Cluster", XJP1), ("Local", GZ1), ("Local", XJP1)):
        under(made, policy)  # type: ignore[arg-type]
        _, flow = read_flow(made.cluster, "client", f"{address}:30080", None, "default")
        tables = {n: enter(made.lab, f"node/{n}", "nft", "list", "tables") for n in ("gz1", "xjp1")}
        [(before, _)] = made.lab.observe([flow], 1)
        traced = made.lab.trace("client", flow)
        [(after, _)] = made.lab.observe([flow], 1)
        assert before.fate == traced.fate == after.fate
        assert [*before.seen] == [*after.seen] == ([traced.seen] if traced.seen else [])
        assert any(event.met.rule.table for event in traced.events)
        for node, known in tables.items():
            assert enter(made.lab, f"node/{node}", "nft", "list", "tables").stdout == known.stdout
            assert "secondhop" not in known.stdout


def test_the_command_without_arguments(secondhop: Secondhop, tmp_path: Path) -> None:
    """The client to the first node's node port under Cluster."""
    file = tmp_path / "a.pcapng"
    done = secondhop("trace", "--pcap", str(file))
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith(f"client ({CLIENT}) to {GZ1}:30316/TCP, node port of Service default/")
    assert second.startswith("delivered")
    assert file.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    document = json.loads(secondhop("trace", "--policy", "Local", "-o", "json").stdout)
    assert document["observed"]["fate"] == "dropped"
    assert document["agree"] is True


def test_on_a_lab_that_is_up(secondhop: Secondhop, tmp_path: Path) -> None:
    """Nothing is left there; packets that go otherwise than predicted are exit code 4."""
    file = tmp_path / "web.json"
    file.write_text("\n---\n".join(map(json.dumps, (deployment(), service()))))
    assert secondhop("lab", "up", "--name", "t", "-f", str(file)).returncode == 0
    deadline = time.monotonic() + 20
    while "delivered" not in (done := secondhop("trace", "--name", "t")).stdout:
        assert time.monotonic() < deadline, done.stdout + done.stderr
    assert done.returncode == 0
    node = ("lab", "exec", "--name", "t", "node/gz1", "--")
    assert "secondhop" not in secondhop(*node, "nft", "list", "tables").stdout
    rule = ["PREROUTING", "-t", "mangle", "-p", "tcp", "--dport", "30080", "-j", "DROP"]
    assert secondhop(*node, "iptables-nft", "-A", *rule).returncode == 0
    done = secondhop("trace", "--name", "t")
    assert done.returncode == 4
    assert "The SYN was dropped on gz1, by -A PREROUTING -p tcp -m tcp --dport 30080" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "192.0.2.1", "--to", f"{GZ1}:80"], "nobody in the lab has this address"),
        (["--from", "pod/none", "--to", f"{GZ1}:80"], "there is no such pod"),
        (["--to", "nowhere"], "is not ADDR:PORT"),
        (["--to", f"{GZ1}:22", "--policy", "Local"], "no address of one"),
        (["svc/traffic-test", "--to", f"{GZ1}:22"], "not an address of Service"),
        (["--name", "a", "--policy", "Local"], "for a throw-away lab"),
        (["--via", "gz1"], "does not go with --to"),
        (["--name", "a"], "the lab a is not up"),
        (["--pcap", "/nowhere/a.pcapng"], "No such file or directory"),
    ],
)
def test_what_cannot_be_meant(secondhop: Secondhop, arguments: list[str], said: str) -> None:
    done = secondhop("trace", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
