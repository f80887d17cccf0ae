"""The experiment on real packets: the reference rows, other worlds, an outside observer."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Unprivileged
from support import deployment, enter, lab, pod, random_world, reference, service, world

from secondhop.errors import EnvironmentUnable, UsageError
from secondhop.experiment.events import Probed
from secondhop.experiment.plan import flows
from secondhop.experiment.run import run
from secondhop.lab.client import Lab
from secondhop.manifests import World, with_policy
from secondhop.model.cluster import ProxyMode
from secondhop.model.fate import Fate, Seen, Trial

POD = "traffic-test-"


def trials(of: World, **options: object) -> list[Trial]:
    chosen = of.cluster.services[0]
    with Lab() as throw_away:
        events = run(throw_away, of, chosen, **options)  # type: ignore[arg-type]
        return [event.trial for event in events if isinstance(event, Probed)]


def rows(made: Sequence[Trial]) -> list[tuple[str, str | None, str, list[str], list[int]]]:
    return [
        (
            t.policy,
            t.flow.destination.node,
            str(t.observed.fate),
            sorted({seen.source_ip for seen in t.observed.seen}),
            sorted(t.observed.hops),
        )
        for t in made
    ]


def disagreements(made: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in made if not trial.agree]


MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")


def in_mode(mode: ProxyMode, of: World) -> World:
    proxy = replace(of.cluster.proxy, mode=mode)
    return replace(of, cluster=replace(of.cluster, proxy=proxy))


@pytest.mark.parametrize(
    ("mode", "rule"),
    [
        ("iptables", "-A KUBE-EXTERNAL-SERVICES -p tcp "),
        ("nftables", "element ip kube-proxy no-endpoint-nodeports { tcp . 30316 "),
    ],
)
def test_the_reference_experiment(mode: ProxyMode, rule: str) -> None:
    made = trials(in_mode(mode, reference()[0]))
    assert rows(made) == [
        ("Cluster", "xjp1", "delivered", ["10.42.1.1"], [1]),
        ("Cluster", "gz1", "delivered", ["10.42.0.0"], [2]),
        ("Local", "xjp1", "delivered", ["192.168.22.2"], [1]),
        ("Local", "gz1", "dropped", [], []),
    ]
    assert not disagreements(made)
    assert all(t.observed.attempts == 12 for t in made)
    assert f"hit {rule}" in made[3].observed.evidence


def test_host_gw_shows_the_entry_nodes_own_address() -> None:
    nodes = [
        {"name": "gz1", "address": "192.168.22.10", "podCIDR": "10.42.0.0/24"},
        {"name": "xjp1", "address": "192.168.22.11", "podCIDR": "10.42.1.0/24"},
    ]
    made = trials(
        world(
            lab(nodes, network={"backend": "host-gw"}, placement={"web": "xjp1"}),
            deployment(),
            service(),
        )
    )
    assert rows(made) == [
        ("Cluster", "xjp1", "delivered", ["10.42.1.1"], [1]),
        ("Cluster", "gz1", "delivered", ["192.168.22.10"], [2]),
        ("Local", "xjp1", "delivered", ["192.168.22.2"], [1]),
        ("Local", "gz1", "dropped", [], []),
    ]
    assert not disagreements(made)


THREE = [
    {"name": "a", "address": "10.1.0.1", "podCIDR": "10.50.0.0/24"},
    {"name": "b", "address": "10.1.0.2", "podCIDR": "10.50.1.0/24"},
    {"name": "c", "address": "10.2.0.1/16", "podCIDR": "10.50.2.0/24"},
]
NETWORK = {"podCIDR": "10.50.0.0/16", "serviceCIDR": "10.96.0.0/16"}


@pytest.mark.parametrize("mode", MODES)
def test_three_nodes_with_two_one_and_no_pods(mode: ProxyMode) -> None:
    placed = {"web": ["a", "a", "b"]}
    built = world(lab(THREE, network=NETWORK, placement=placed), deployment(replicas=3), service())
    made = trials(
        in_mode(mode, built),
        attempts=80,  # that one of three pods is never chosen: once in 10^13
    )
    assert not disagreements(made)
    assert [(t.policy, t.flow.destination.node, str(t.observed.fate)) for t in made] == [
        ("Cluster", "a", "delivered"),
        ("Cluster", "b", "delivered"),
        ("Cluster", "c", "delivered"),
        ("Local", "a", "delivered"),
        ("Local", "b", "delivered"),
        ("Local", "c", "dropped"),
    ]
    assert len({seen.pod for seen in made[2].observed.seen}) == 3


@pytest.mark.parametrize(
    ("mode", "rule"),
    [
        ("iptables", "-A KUBE-EXTERNAL-SERVICES -p tcp "),
        ("nftables", "element ip kube-proxy no-endpoint-nodeports { tcp . 30080 "),
    ],
)
def test_nobody_ready_is_rejected_everywhere(mode: ProxyMode, rule: str) -> None:
    built = world(lab(THREE, network=NETWORK), pod("web-0", "a", ready=False), service())
    made = trials(in_mode(mode, built))
    assert {t.observed.fate for t in made} == {Fate.REJECTED}
    assert all(t.observed.fates == {Fate.REJECTED: 12} for t in made)  # none rate-limited
    assert not disagreements(made)
    assert f"ICMP 3/3 from 10.1.0.1, by {rule}" in made[0].observed.evidence


def test_a_failing_readiness_probe_counts() -> None:
    probe = {"httpGet": {"path": "/health", "port": 8080}}
    made = trials(world(deployment(readinessProbe=probe), service()))
    assert {t.observed.fate for t in made} == {Fate.REJECTED}
    assert not disagreements(made)


@pytest.mark.parametrize("probe", [{"httpGet": {"path": "/health", "port": 80}},
                                   {"tcpSocket": {"port": 80}}])  # fmt: skip
def test_a_passing_readiness_probe_changes_nothing(probe: dict[str, object]) -> None:
    made = trials(world(deployment(readinessProbe=probe), service()))
    assert [t.observed.fate for t in made].count(Fate.DELIVERED) == 3
    assert not disagreements(made)


def test_another_image_is_stood_in_for_on_the_port_the_service_targets() -> None:
    ports = [{"port": 80, "targetPort": 8443, "nodePort": 30443}]
    made = trials(world(deployment(image="nginx:1.27"), service(ports=ports)))
    assert [t.observed.fate for t in made].count(Fate.DELIVERED) == 3
    assert not disagreements(made)


def test_waiting_drops_out_agrees_with_the_proof() -> None:
    proved = trials(reference()[0])
    waited = trials(reference()[0], wait_timeouts=True)
    assert rows(waited) == rows(proved)
    assert "no answer in 1 s" in waited[3].observed.evidence
    assert "-A KUBE-EXTERNAL-SERVICES" in waited[3].observed.evidence


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_any_lab_agrees(seed: int, mode: ProxyMode) -> None:
    made = trials(in_mode(mode, random_world(seed)))
    assert made
    assert not disagreements(made)


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_four_hundred_labs_agree(seed: int, mode: ProxyMode) -> None:
    assert not disagreements(trials(in_mode(mode, random_world(seed))))


def test_curl_inside_the_client_finds_what_the_table_says() -> None:
    """An observer that shares no code with secondhop: nsenter and curl."""
    built, chosen = reference()
    with Lab() as cluster_lab:
        cluster_lab.start(built.cluster)
        seen = {}
        for policy in ("Cluster", "Local"):
            cluster_lab.program(with_policy(built.cluster, chosen, policy))
            for flow in flows(built.cluster, chosen):
                url = f"http://{flow.destination}/"
                curl = enter(cluster_lab, "client", "curl", "-s", "--connect-timeout", "1", url)
                remote = [x for x in curl.stdout.splitlines() if x.startswith("RemoteAddr")]
                address = remote[0].split()[1].rpartition(":")[0] if remote else ""
                seen[policy, flow.destination.node] = (curl.returncode, address)
    assert seen == {
        ("Cluster", "xjp1"): (0, "10.42.1.1"),
        ("Cluster", "gz1"): (0, "10.42.0.0"),
        ("Local", "xjp1"): (0, "192.168.22.2"),
        ("Local", "gz1"): (28, ""),
    }


def test_every_seen_pair_is_counted() -> None:
    made = trials(reference()[0])
    name = next(iter(made[0].observed.seen)).pod
    assert name.startswith(POD)
    assert made[0].observed.seen == {Seen(name, "10.42.1.1"): 12}
    assert len(made[0].observed.connect_ms) == 12


def test_a_trial_disagrees_over_an_unpredicted_pair_and_a_missing_backend() -> None:
    trial = trials(reference()[0])[0]
    other = replace(trial.observed, seen={Seen("web", "10.42.1.9"): 12})
    none = replace(trial.observed, seen={})
    assert not replace(trial, observed=other).agree
    assert not replace(trial, observed=none).agree


def test_the_command_line_says_so(unprivileged: Unprivileged) -> None:
    done = unprivileged.run("run", "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["agree"] is True
    assert len(answer["trials"]) == 4
    assert [c["id"] for c in answer["claims"] if c["verdict"] == "false"] == [
        "source-is-node-ip",
        "local-loses-client-ip",
        "change-cuts-connections",
    ]


def test_a_curl_of_the_host_sees_nothing_of_the_lab() -> None:
    """Nothing of the host is touched: no link, no address, no rule."""

    def host() -> str:
        return "".join(
            subprocess.run(c, capture_output=True, text=True, check=True).stdout
            for c in (["ip", "-o", "link"], ["ip", "-o", "addr"], ["ip", "route"])
        )

    before = host()
    with Lab() as running:
        running.start(reference()[0].cluster)
        assert host() == before


@pytest.mark.parametrize(
    "container",
    [
        {"args": ["--port", "8080"]},
        {"command": ["/whoami", "-port=8080"]},
        {"env": [{"name": "WHOAMI_PORT_NUMBER", "value": "8080"}]},
    ],
)
def test_whoami_listens_where_it_is_told(container: dict[str, Any]) -> None:
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
    made = trials(world(deployment(**container), service(ports=ports)))
    assert [t.observed.fate for t in made].count(Fate.DELIVERED) == 3
    assert not disagreements(made)


def test_a_service_that_targets_a_port_where_whoami_does_not_listen() -> None:
    """The pod itself would refuse, which is said before there is a lab."""
    ports = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
    with pytest.raises(UsageError, match=r"targets port 8080 of pod .* listens on 80 "):
        trials(world(deployment(), service(ports=ports)))


@pytest.mark.parametrize(
    ("podip", "says"),
    [
        ("10.42.0.9", "outside xjp1's pod CIDR 10.42.1.0/24"),
        ("10.42.1.1", "which is xjp1's own or its broadcast"),
        ("10.42.1.255", "which is xjp1's own or its broadcast"),
    ],
)
def test_addresses_that_no_pod_can_have(podip: str, says: str) -> None:
    odd = pod("web-0", "xjp1")
    odd["status"]["podIP"] = podip
    with pytest.raises(UsageError, match=says):
        trials(world(odd, service()))


def test_two_pods_of_one_address() -> None:
    twins = [pod("web-0", "xjp1"), pod("web-1", "xjp1")]
    for twin in twins:
        twin["status"]["podIP"] = "10.42.1.9"
    says = r"pods default/web-0 and default/web-1 both have the address 10\.42\.1\.9"
    with pytest.raises(UsageError, match=says):
        trials(world(*twins, service()))


def test_an_endpoint_that_is_on_no_node() -> None:
    one: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {"ready": True}}],
    }
    with pytest.raises(UsageError, match=r"endpoint 1\.2\.3\.4:80 .* is on no node of the lab"):
        trials(world(service(), one))
    one["endpoints"] = [{"addresses": ["10.42.1.1"], "nodeName": "xjp1"}]
    with pytest.raises(UsageError, match=r"endpoint 10\.42\.1\.1:80 .* is xjp1's own"):
        trials(world(service(), one))


def test_what_the_lab_cannot_be_yet() -> None:
    proxy = {"external": "/usr/bin/kube-proxy"}
    asked = {"apiVersion": "secondhop/v1", "kind": "Lab", "proxy": proxy}
    with pytest.raises(EnvironmentUnable):
        trials(world(asked, deployment(), service()))


def test_hops_to_a_host_network_pod_count_its_own_node() -> None:
    host = pod("web-0", "xjp1")
    host["spec"]["hostNetwork"] = True
    made = trials(world(host, service()))
    assert rows(made) == [
        ("Cluster", "xjp1", "delivered", ["192.168.22.2"], [1]),
        ("Cluster", "gz1", "delivered", ["192.168.8.1"], [2]),
        ("Local", "xjp1", "delivered", ["192.168.22.2"], [1]),
        ("Local", "gz1", "dropped", [], []),
    ]
    assert not disagreements(made)


def test_two_host_network_pods_of_one_port_and_node() -> None:
    """As on a real node: the second cannot listen, so it is not ready."""
    pods = [pod("web-0", "xjp1"), pod("web-1", "xjp1")]
    for one in pods:
        one["spec"]["hostNetwork"] = True
    built = world(*pods, service())
    with Lab() as throw_away:
        events = run(throw_away, built, built.cluster.services[0])
        made = [event.trial for event in events if isinstance(event, Probed)]
        said = throw_away.notes[0]
        assert said.startswith("pod default/web-1 on xjp1 is not ready: its container ended: ")
        assert said.endswith("listen tcp :80: bind: address already in use")
    assert not disagreements(made)


def test_a_placement_of_many_is_not_told_as_the_only_one(unprivileged: Unprivileged) -> None:
    manifests = Path(__file__).parents[2] / "docs/examples/cluster.yaml"
    command = [*unprivileged.secondhop, "run", "-f", "-"]
    with manifests.open() as given:
        done = subprocess.run(
            command, stdin=given, capture_output=True, text=True, timeout=60, **unprivileged.options
        )
    assert done.returncode == 0
    told = "The pods ran in one of the placements that the manifests allow"
    assert told in done.stdout
    assert told not in unprivileged.run("run").stdout
