"""`secondhop diff`: transcripts of the reference, its JSON, exit codes, errors, speed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support import deployment, lab, reference, service

from secondhop.report.schema import schema

from .conftest import NODES, RANGES

Secondhop = Callable[..., Any]

POD = reference()[0].cluster.pods[0].name
LOCAL = ("diff", "svc/traffic-test", "--set", "externalTrafficPolicy=Local")
TRANSCRIPT = f"""\
default/traffic-test: externalTrafficPolicy=Local: cuts off what enters through gz1: timeout
(dropped); behind every-node 50.0% of connections are lost; pods see the client's address instead of
10.42.1.1; callers inside the cluster are cut off too (k8s 1.36)

TO                       FROM           BEFORE                AFTER
gz1 192.168.8.1:30316    everyone else  xjp1, sees 10.42.0.0  timeout (dropped)
xjp1 172.17.26.70:30316  everyone else  xjp1, sees 10.42.1.1  xjp1, sees the sender
gz1 192.168.8.1:30316    pod there      xjp1, sees 10.42.0.0  xjp1, sees 10.42.0.250
xjp1 172.17.26.70:30316  pod there      xjp1, sees 10.42.1.1  xjp1, sees 10.42.1.250

everyone else: all senders but that node and its pods
pod there: a pod of the node that TO names
the sender: the sender's own address

Behind every-node, port 80/TCP:
POD                            BEFORE  AFTER
{POD}  100.0%  50.0%
lost: timeout (dropped)        0.0%    50.0%

Live connections are not cut: conntrack goes on translating them; only new ones follow the new
rules.
To make it safe:
  - keep a ready pod on every node that is sent traffic: a DaemonSet, or at least 2 replicas with a
    topologySpreadConstraint on kubernetes.io/hostname (maxSkew: 1, whenUnsatisfiable:
    DoNotSchedule)
  - use a balancer that checks each node's port (--balancer healthy-nodes), or type LoadBalancer,
    which has a healthCheckNodePort to check

Predicted, not tried: kube-proxy in iptables mode on gz1, xjp1; pod network vxlan; client
192.168.22.2.
  Deployment default/traffic-test: its pods are not in the input, so they are derived
"""


def write(path: Path, *documents: dict[str, Any]) -> str:
    path.write_text("\n---\n".join(map(json.dumps, documents)))
    return str(path)


def test_the_reference_experiment(secondhop: Secondhop) -> None:
    assert secondhop(*LOCAL) == (0, TRANSCRIPT, "")


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        (["type=NodePort"], "type=NodePort: nothing changes (k8s 1.36)"),
        (
            ["sessionAffinity=ClientIP"],
            "sessionAffinity=ClientIP: a client stays with its pod, on each node, for 10800 s",
        ),
        (["internalTrafficPolicy=Local"], "Local: callers inside the cluster are cut off (k8s"),
        (["type=ClusterIP"], "type=ClusterIP: closes the way in through gz1, xjp1 (k8s 1.36)"),
        (["selector.app=x"], "selector.app=x: cuts off what enters through gz1, xjp1: refused"),
        (
            ["ports[0].nodePort=30400"],
            "30400: closes the way in through gz1, xjp1; opens a way in through gz1, xjp1 (k8s",
        ),
        (['externalIPs=["203.0.113.9"]'], '["203.0.113.9"]: opens a way in through gz1, xjp1 (k8s'),
        (
            ["type=LoadBalancer", "externalTrafficPolicy=Local"],
            "type=LoadBalancer, externalTrafficPolicy=Local: cuts off what enters through gz1",
        ),
    ],
)
def test_the_verdict_comes_first(secondhop: Secondhop, fields: list[str], first: str) -> None:
    asked = [part for field in fields for part in ("--set", field)]
    done = secondhop("diff", "svc/traffic-test", *asked)
    assert first in " ".join(done.out.split("\n\n")[0].split("\n"))
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("externalTrafficPolicy=Local", 1),
        ("externalTrafficPolicy=Cluster", 0),
        ("sessionAffinity=ClientIP", 1),
        ("internalTrafficPolicy=Local", 1),
        ("loadBalancerIP=", 0),
    ],
)
def test_exit_code_is_1_when_something_changes(secondhop: Secondhop, field: str, code: int) -> None:
    assert secondhop("diff", "svc/traffic-test", "--set", field, "--exit-code").code == code
    assert secondhop("diff", "svc/traffic-test", "--set", field).code == 0


def test_the_json(secondhop: Secondhop) -> None:
    document = json.loads(secondhop(*LOCAL, "-o", "json").out)
    assert list(Draft202012Validator(schema("Difference")).iter_errors(document)) == []
    assert document["kind"] == "Difference"
    assert document["kubeVersion"] == "1.36"
    assert document["service"] == "default/traffic-test"
    assert document["set"] == ["externalTrafficPolicy=Local"]
    assert document["changed"] is True
    assert document["nodes"] == {"dark": ["gz1"], "refusing": []}
    first = document["changes"][0]
    assert [source["name"] for source in first["sources"]] == ["client", "pod@xjp1", "xjp1"]
    assert first["destination"]["node"] == "gz1"
    assert (first["before"]["fate"], first["after"]["fate"]) == ("delivered", "dropped")
    (before,), (after,) = document["shares"]["before"], document["shares"]["after"]
    assert (before["pods"], before["lost"]) == ({POD: 1.0}, {})
    assert (after["pods"], after["lost"]) == ({POD: 0.5}, {"dropped": 0.5})
    assert document["liveConnectionsCut"] is False
    assert len(document["advice"]) == 2


GUARD = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "guard"},
    "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.42.0.0/16"}}]}]},
}


def test_a_network_policy_that_will_judge_by_another_address(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    file = write(tmp_path / "web.json", deployment(replicas=2), service(), GUARD)
    asked = ("diff", "svc/web", "--set", "externalTrafficPolicy=Local", "-f", file)
    out = " ".join(secondhop(*asked).out.split())
    assert "NetworkPolicy default/guard judges by ipBlock, and web-" in out
    assert "after it does not admit 192.168.22.2. No policy admits the new address" in out
    assert "- let NetworkPolicy default/guard admit 192.168.22.2 first" in out
    document = json.loads(secondhop(*asked, "-o", "json").out)
    assert list(Draft202012Validator(schema("Difference")).iter_errors(document)) == []
    (told,) = document["networkPolicies"]
    assert (told["policy"], told["cutOff"]) == ("default/guard", True)
    assert told["after"] == {"192.168.22.2": False}


def test_a_balancer_that_gives_the_address_to_one_node_has_cases(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    file = write(tmp_path / "web.json", deployment(replicas=2), service(type="LoadBalancer"))
    asked = ("diff", "svc/web", "--set", "externalTrafficPolicy=Local", "-f", file)
    out = secondhop(*asked, "--balancer", "metallb-l2").out
    assert "Behind metallb-l2, port 80/TCP while gz1 has the address:\n" in out
    assert "Behind metallb-l2, port 80/TCP while xjp1 has the address:\n" in out
    assert "let the balancer reach the health check node port of every node (30086" in out
    out = secondhop(*asked, "--balancer", "cloud-passthrough").out
    assert "Behind cloud-passthrough: every pod keeps its share.\n" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("svc/x --set a=b", "there is no Service default/x in the input"),
        ("pod/x --set a=b", "pod/x is not a Service"),
        ("svc/traffic-test --set ports", "--set ports is not FIELD=VALUE"),
        ("svc/traffic-test --set ports[4].port=1", "spec.ports is a list of 1, and has no 4"),
        ("svc/traffic-test --set foo=1", 'unknown field "foo"'),
        ("svc/traffic-test --set type=NodPort", 'Unsupported value: "NodPort"'),
        ("svc/traffic-test --set type=NodePort --balancer metalb-l2", "Did you mean metallb-l2?"),
        ("svc/traffic-test --set type=NodePort --kube-version 1.9", "Kubernetes 1.9 is too old"),
        ("svc/traffic-test --set type=NodePort --proxy-mode cilium", "no verdict for cilium"),
    ],
)
def test_what_cannot_be_meant_is_refused(secondhop: Secondhop, arguments: str, says: str) -> None:
    done = secondhop("diff", *arguments.split(" "))
    assert says in done.err
    assert (done.out, done.code) == ("", 2)


def test_the_report_of_a_large_cluster_stays_short(secondhop: Secondhop, tmp_path: Path) -> None:
    nodes = [
        {"name": f"n{k}", "address": f"10.1.{k}.1", "podCIDR": f"10.50.{k}.0/24"}
        for k in range(100)
    ]
    network = {"podCIDR": "10.50.0.0/16", "serviceCIDR": "10.96.0.0/16"}
    several = [deployment(f"s{k}", replicas=10) for k in range(100)]
    several += [
        service(f"s{k}", node_port=30100 + k, type="LoadBalancer")
        | {"status": {"loadBalancer": {"ingress": [{"ip": f"203.0.113.{k + 1}"}]}}}
        for k in range(100)
    ]
    file = write(tmp_path / "many.json", lab(nodes, network=network), *several)
    asked = ("diff", "svc/s7", "--set", "externalTrafficPolicy=Local", "-f", file)
    done = secondhop(*asked)
    assert done.out.startswith("default/s7: externalTrafficPolicy=Local: cuts off what enters")
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.out.partition("Predicted, ")[0].count("\n") < 50


def test_where_nobody_has_placed_the_pods_losses_are_told_over_all_placements(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    objects = service(), deployment(replicas=3), lab(NODES[:3], network=RANGES)
    file = write(tmp_path / "web.json", *objects)
    local = "externalTrafficPolicy=Local"
    out = " ".join(secondhop("diff", "svc/web", "-f", file, "--set", local).out.split())
    assert "cuts off what enters through a node without a pod: possible for n0, n1, n2;" in out
    assert "What follows is so in one of the placements that the manifests allow:" in out
    assert "- have a pod on every node for certain: a DaemonSet, or a topologySpread" in out


def test_the_other_way_round_the_changes_are_of_one_placement_too(
    secondhop: Secondhop, tmp_path: Path
) -> None:
    objects = service(externalTrafficPolicy="Local"), deployment(), lab(NODES[:3], network=RANGES)
    file = write(tmp_path / "web.json", *objects)
    asked = "diff", "svc/web", "-f", file, "--set", "externalTrafficPolicy=Cluster"
    out = " ".join(secondhop(*asked).out.split())
    assert "Cluster: pods see" in out
    assert "serves what enters through a node without a pod, so far timeout (dropped)" in out
    assert "What follows is so in one of the placements that the manifests allow:" in out


def test_the_headline_does_not_contradict_the_shares(secondhop: Secondhop, tmp_path: Path) -> None:
    given = service(type="LoadBalancer", externalTrafficPolicy="Local")
    file = write(tmp_path / "web.json", given, deployment(replicas=3))
    out = secondhop("diff", "svc/web", "-f", file, "--set", "type=NodePort").out
    assert out.startswith("default/web: type=NodePort: only the balancer's health checks notice (")
    assert "Behind every-node: every pod keeps its share.\n" in out
