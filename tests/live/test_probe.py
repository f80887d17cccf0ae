"""probe from where the nodes can be reached, and from where they cannot."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from secondhop.live.stage import LABEL
from secondhop.report.schema import schema

from .conftest import Live

QUICK = "--connect-timeout", "0.5"


def probe(live: Live, namespace: str, *options: str) -> tuple[int, dict[str, Any]]:
    named = "svc/traffic-test", "-n", namespace, "--kubeconfig", str(live.kubeconfig)
    done = live.secondhop("probe", *named, *QUICK, *options, "-o", "json")
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(schema("Probe")).validate(told)
    return done.returncode, told


def test_cluster_serves_through_every_node(live: Live, namespace: str) -> None:
    code, told = probe(live, namespace)
    assert code == 0, told
    assert {row["observed"]["fate"] for row in told["trials"]} == {"delivered"}
    assert all(sum(row["observed"]["backends"].values()) == 12 for row in told["trials"])
    assert all(row["observed"]["connectMs"]["p50"] > 0 for row in told["trials"])


def test_a_local_drop_is_a_drop_of_a_node_that_answers(live: Live, local: str) -> None:
    code, told = probe(live, local)
    assert code == 0, told
    (client,) = {row["source"]["ip"] for row in told["trials"]}
    silent = [row for row in told["trials"] if row["observed"]["fate"] == "dropped"]
    served = [row for row in told["trials"] if row["observed"]["fate"] == "delivered"]
    assert [[*row["observed"]["sourceIPs"]] for row in served] == [[client]]
    for row in silent:
        assert row["verdict"] == "agrees"
        assert "refused" in {control["answer"] for control in row["controls"]}


def test_what_contradicts_the_prediction_exits_four(
    lab: Live, namespace: str, tmp_path: Path
) -> None:
    world = tmp_path / "lab.yaml"
    ranges = {"podCIDR": "10.42.0.0/16", "serviceCIDR": "10.43.0.0/16"}
    network = {"backend": "host-gw"} | ranges
    world.write_text(json.dumps({"apiVersion": "secondhop/v1", "kind": "Lab", "network": network}))
    code, told = probe(lab, namespace, "-f", str(world))
    assert (code, told["agree"]) == (4, False)
    verdicts = {row["destination"]["node"]: row["verdict"] for row in told["trials"]}
    assert verdicts == {"gz1": "disagrees", "xjp1": "agrees"}
    (wrong,) = (row for row in told["trials"] if row["verdict"] == "disagrees")
    assert "saw 10.42.0.0, not 192.168.8.1" in wrong["because"]


@pytest.mark.parametrize(
    "address", ["192.168.8.77", pytest.param("10.99.0.1", marks=pytest.mark.soak)]
)
def test_a_node_out_of_reach_is_not_a_drop(lab: Live, local: str, address: str) -> None:
    """A router may say that there is no way, or, its errors being limited, may not."""
    name = f"away-{address.replace('.', '-')}"
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    lab.kubectl("create", "-f", "-", stdin=json.dumps(node))
    lab.kubectl("patch", "node", name, "--subresource=status", "-p", json.dumps({"status": status}))
    try:
        code, told = probe(lab, local)
    finally:
        lab.kubectl("delete", "node", name)
    (away,) = (row for row in told["trials"] if row["destination"]["node"] == name)
    assert (code, away["verdict"]) == (0, "not reached")
    told_of = "nothing at this address answers", "no way there from here"
    assert any(said in away["because"] for said in told_of)


def test_a_page_of_the_users_own(live: Live, namespace: str) -> None:
    code, told = probe(live, namespace, "--source-from", r"RemoteAddr: (\S+)")
    assert code == 0
    assert all(list(row["observed"]["backends"]) == [""] for row in told["trials"])


def test_a_service_without_a_way_in(live: Live, namespace: str) -> None:
    done = live.secondhop(
        "probe", "svc/kubernetes", "-n", "default", "--kubeconfig", str(live.kubeconfig)
    )
    assert done.returncode == 2
    assert "has no TCP address to dial from here" in done.stderr


@pytest.mark.parametrize("place", ["pod", "node"])
def test_from_inside_the_cluster(live: Live, local: str, place: str) -> None:
    code, told = probe(live, local, "--from", place)
    assert (code, told["agree"]) == (0, True), told
    (source,) = {(row["source"]["kind"], row["source"]["node"]) for row in told["trials"]}
    assert source[0] == place
    for row in told["trials"]:
        assert row["sameNode"] is (row["destination"]["node"] == source[1])
        assert row["verdict"] == "agrees"
    assert live.kubectl("get", "namespaces", "-l", f"{LABEL}=secondhop", "-o", "name") == ""


def test_from_a_node_of_ones_choice_a_drop_elsewhere_is_seen(lab: Live, local: str) -> None:
    pods = json.loads(lab.kubectl("-n", local, "get", "pods", "-o", "json"))["items"]
    home = pods[0]["spec"]["nodeName"]
    code, told = probe(lab, local, "--from", "pod", "--on", home)
    assert code == 0
    fates = {row["destination"]["node"]: row["observed"]["fate"] for row in told["trials"]}
    assert sorted(fates.values()) == ["delivered", "dropped"]
    assert fates[home] == "delivered"


def test_a_node_that_is_not_there_is_told_at_once(live: Live, local: str) -> None:
    named = "svc/traffic-test", "-n", local, "--kubeconfig", str(live.kubeconfig)
    done = live.secondhop("probe", *named, "--from", "pod", "--on", "nix")
    assert done.returncode == 2
    assert "--on nix: there is no such node" in done.stderr


def test_a_balancer_and_the_health_checks_that_it_asks(lab: Live, local: str) -> None:
    kind = "-n", local, "patch", "svc", "traffic-test", "-p"
    lab.kubectl(*kind, '{"spec": {"type": "LoadBalancer"}}')
    address = "--for=jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("-n", local, "wait", "svc/traffic-test", address, "--timeout=20s")
    time.sleep(1)  # and the balancer asks the nodes
    try:
        code, told = probe(lab, local)
    finally:
        lab.kubectl(*kind, '{"spec": {"type": "NodePort", "healthCheckNodePort": 0}}')
    assert code == 0, told
    of = {
        kind: [row for row in told["trials"] if row["destination"]["kind"] == kind]
        for kind in ("loadBalancerIP", "healthCheckNodePort")
    }
    (balancer,) = of["loadBalancerIP"]
    assert balancer["observed"]["fate"] == "delivered"
    assert len(balancer["predicted"]) == 2
    assert sorted(row["httpStatus"] for row in of["healthCheckNodePort"]) == [200, 503]
