"""What `compare` makes of its files and options, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import deployment, lab, service

from secondhop.cli.comparing import chosen_policies, counts, subject
from secondhop.errors import UsageError
from secondhop.experiment.subject import Subject
from secondhop.model.cluster import Policy

BOTH: tuple[Policy, ...] = ("Cluster", "Local")
NODES = [
    {"name": "a", "address": "10.1.0.1"},
    {"name": "b", "address": "10.2.0.1"},
]


def made(
    tmp_path: Path,
    *objects: dict[str, Any],
    balancer: str | None = None,
    pods: str | None = None,
    quick: bool = False,
) -> Subject:
    """Of a file with these objects; without any, of the reference experiment."""
    path = tmp_path / "input.json"
    path.write_text("\n---\n".join(map(json.dumps, objects)))
    files = (str(path),) if objects else ()
    return subject(
        None,
        files,
        None,
        policies=BOTH,
        balancer=balancer,
        pods=counts(pods),
        quick=quick,
    )


def homes(of: Subject) -> dict[str, int]:
    nodes = {node.name: 0 for node in of.world.cluster.nodes}
    for pod in of.world.cluster.pods:
        nodes[str(pod.node)] += 1
    return nodes


def test_the_reference_experiment_with_a_short_grace(tmp_path: Path) -> None:
    of = made(tmp_path)
    assert homes(of) == {"gz1": 2, "xjp1": 1}
    assert of.world.lab.node_grace_seconds == 5
    assert (of.deployment, of.left_out) == ("default/traffic-test", {})
    assert made(tmp_path, quick=True).world.lab.node_grace_seconds < 5


def test_pods_on_more_nodes_than_there_are(tmp_path: Path) -> None:
    of = made(tmp_path, pods="3/1/0/2")
    assert homes(of) == {"gz1": 3, "xjp1": 1, "node3": 0, "node4": 2}
    cidrs = [node.pod_cidrs for node in of.world.cluster.nodes]
    assert all(cidrs)
    assert len(set(cidrs)) == 4


def test_a_users_lab_keeps_what_it_says(tmp_path: Path) -> None:
    balancer = {"kind": "single-node", "interval": 3, "threshold": 4}
    mine = lab(NODES, nodeGraceSeconds=40, balancer=balancer)
    of = made(tmp_path, mine, deployment(replicas=2), service(), quick=True)
    assert of.world.lab.node_grace_seconds == 40
    found = of.world.lab.balancer
    assert (found.kind, found.interval, found.threshold) == ("single-node", 3, 4)
    other = made(tmp_path, mine, deployment(), service(), balancer="ecmp").world.lab.balancer
    assert (other.kind, other.interval) == ("ecmp", 3)


def test_pods_of_a_users_own(tmp_path: Path) -> None:
    of = made(tmp_path, lab(NODES), deployment(replicas=9), service(), pods="0/2")
    assert homes(of) == {"a": 0, "b": 2}


def test_the_service_need_not_be_open_yet(tmp_path: Path) -> None:
    closed = service(type="ClusterIP")
    del closed["spec"]["ports"][0]["nodePort"]
    assert str(made(tmp_path, deployment(), closed).service) == "default/web"


def daemon_set() -> dict[str, Any]:
    found = deployment() | {"kind": "DaemonSet"}
    del found["spec"]["replicas"]
    return found


def test_what_cannot_be_done_is_left_out_and_why(tmp_path: Path) -> None:
    assert list(made(tmp_path, daemon_set(), service()).left_out) == ["rollout"]
    bare = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "w", "image": "traefik/whoami"}]},
    }
    assert list(made(tmp_path, bare, service()).left_out) == ["rollout", "drain"]


def test_namespaces_that_the_input_does_not_have_are_made(tmp_path: Path) -> None:
    value, before = deployment(), service()
    for one in (value, before):
        one["metadata"]["namespace"] = "shop"
    first = made(tmp_path, value, before).objects[0]
    assert (first["kind"], first["metadata"]["name"]) == ("Namespace", "shop")


def test_what_of_the_service_is_left_out_is_said(tmp_path: Path) -> None:
    of = made(tmp_path, deployment(), service(sessionAffinity="ClientIP"))
    assert any(note.startswith("sessionAffinity ClientIP is left out") for note in of.notes)


def udp() -> dict[str, Any]:
    found = service()
    found["spec"]["ports"][0]["protocol"] = "UDP"
    return found


def stateful() -> dict[str, Any]:
    found = deployment() | {"kind": "StatefulSet"}
    found["spec"]["serviceName"] = "web"
    return found


def headless() -> dict[str, Any]:
    found = service(type="ClusterIP", clusterIP="None")
    del found["spec"]["ports"][0]["nodePort"]
    return found


@pytest.mark.parametrize(
    ("objects", "pods", "said"),
    [
        ([service(selector=None)], None, "default/web has no selector"),
        ([deployment(), udp()], None, "only 80/UDP"),
        ([deployment(), headless()], None, "headless"),
        ([service()], None, "no Deployment, ReplicaSet, DaemonSet, Pod of the input is behind"),
        ([deployment(replicas=0), service()], None, "of the input is behind"),
        ([stateful(), service()], None, "StatefulSet default/web behind Service default/web"),
        ([deployment()], None, "0 Services to choose from"),
        ([daemon_set(), service()], "1/1", "--pods 1/1 needs one Deployment, and the input has 0"),
        ([], "3", "--pods 3 is for 1 nodes, and there are 2: gz1, xjp1"),
        ([lab(NODES), deployment(), service()], "1/1/1", "is for 3 nodes, and there are 2: a, b"),
        ([deployment(args=["-port", "81"]), service()], None, "which listens on 81"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, objects: list[dict[str, Any]], pods: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        made(tmp_path, *objects, pods=pods)
    assert said in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["", "0", "0/0", "1/x", "1//2", "-1/2", "1.5"])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not counts of pods"):
        counts(text)


@pytest.mark.parametrize("text", ["", "local", "Cluster,", "Cluster,Cluster", "Both"])
def test_policies_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no list of policies"):
        chosen_policies(text)


def test_policies_in_any_order() -> None:
    assert chosen_policies("Local, Cluster") == BOTH
    assert chosen_policies("Local") == ("Local",)
