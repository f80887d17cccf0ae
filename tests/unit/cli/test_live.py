"""explain, diff and check of a real cluster: the same answers as of a paste, and what is said of
what could not be read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from standin import SECRET, Object, StandIn, cluster, config_map, daemon_set

from secondhop.report.schema import schema

from .conftest import Secondhop, write

RBAC = Path(__file__).parents[3] / "docs/examples/rbac.yaml"
KINDS = {"services", "endpointslices.discovery.k8s.io", "pods", "nodes"}
OPTIONAL = {"networkpolicies.networking.k8s.io", "daemonsets.apps", "configmaps"}
PROXY = {"kind": "KubeProxyConfiguration", "clusterCIDR": "10.64.0.0/10"}


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    found = StandIn(tmp_path / "kubectl")
    monkeypatch.setenv("PATH", f"{found.bin}{os.pathsep}{os.environ['PATH']}")
    found.serve(cluster())
    return found


def paste(folder: Path, objects: list[Object]) -> str:
    return write(folder / "paste.json", {"apiVersion": "v1", "kind": "List", "items": objects})


@pytest.mark.parametrize("arguments", [(), ("--all",), ("svc/web1", "--all")])
def test_a_snapshot_answers_as_the_paste_does(
    secondhop: Secondhop, kubectl: StandIn, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    files = "-f", paste(tmp_path, cluster()), "-n", "shop"
    pasted = secondhop("explain", *arguments, *files, "-o", "json", "--kube-version", "1.33")
    read = secondhop("explain", *arguments, "--context", "test", "-o", "json")
    assert (pasted.code, read.code) == (0, 0), read.err
    told = json.loads(read.out)
    Draft202012Validator(schema("Prediction")).validate(told)
    assert told["cells"] == json.loads(pasted.out)["cells"] != []
    assert told["kubeVersion"] == "1.33"
    for document in kubectl.calls:
        assert "--context=test" in document


def test_diff_and_check_as_of_the_paste(
    secondhop: Secondhop, kubectl: StandIn, tmp_path: Path
) -> None:
    files = "-f", paste(tmp_path, cluster()), "-n", "shop", "--kube-version", "1.33"
    for verb, kind, key in (
        (("diff", "svc/web0", "--set", "externalTrafficPolicy=Cluster"), "Difference", "changes"),
        (("check",), "Check", "findings"),
    ):
        pasted = json.loads(secondhop(*verb, *files, "-o", "json").out)
        read = secondhop(*verb, "--context", "test", "-o", "json")
        told = json.loads(read.out)
        Draft202012Validator(schema(kind)).validate(told)
        found, expected = told[key], pasted[key]
        if verb == ("check",):
            for one in (*found, *expected):
                del one["file"], one["line"]
        assert found == expected != []


def test_the_namespace_is_the_contexts_or_the_named_or_all(
    secondhop: Secondhop, kubectl: StandIn
) -> None:
    for options, path in [
        ((), "/api/v1/namespaces/shop/services?limit=500"),
        (("-n", "other"), "/api/v1/namespaces/other/services?limit=500"),
        (("-A",), "/api/v1/services?limit=500"),
    ]:
        secondhop("explain", "--context", "test", *options)
        assert f"--raw={path}" in {words[-1] for words in kubectl.calls}


def test_what_was_inferred_is_told_and_what_is_in_doubt_is_in_the_verdict(
    secondhop: Secondhop, kubectl: StandIn
) -> None:
    config = config_map("kube-system", "kube-proxy", **{"config.conf": json.dumps(PROXY)})
    kubectl.serve([*cluster(), config, daemon_set("aws-node")])
    told = secondhop("explain", "svc/web0", "--context", "test")
    assert told.code == 0
    verdict, _, rest = " ".join(told.out.split(" ")).partition("\n\n")
    assert verdict.startswith("shop/web0: Local")
    assert "In doubt, pod network AWS VPC:" in verdict
    rest = " ".join(rest.split())
    assert "proxy mode iptables: read, ConfigMap kube-system/kube-proxy leaves the mode" in rest
    assert "pod network AWS VPC: recognised, by DaemonSet kube-system/aws-node" in rest
    assert "Kubernetes version 1.33: read, of the API server" in rest
    document = json.loads(secondhop("explain", "--context", "test", "-o", "json").out)
    assert [one["sureness"] for one in document["inferred"]] == ["read", "recognised", "read"]


def test_no_verdict_where_something_else_serves_services(
    secondhop: Secondhop, kubectl: StandIn
) -> None:
    kubectl.serve([*cluster(), daemon_set("cilium")])
    done = secondhop("explain", "--context", "test")
    assert (done.code, done.out) == (2, "")
    assert (
        "no verdict for proxy mode cilium (recognised, by DaemonSet kube-system/cilium" in done.err
    )
    forced = secondhop("explain", "--context", "test", "--proxy-mode", "iptables")
    assert forced.code == 0


def test_a_lab_file_goes_before_what_was_inferred(
    secondhop: Secondhop, kubectl: StandIn, tmp_path: Path
) -> None:
    lab = {"apiVersion": "secondhop/v1", "kind": "Lab", "client": {"address": "198.51.100.9"}}
    lab |= {"proxy": {"mode": "nftables"}}
    done = secondhop("explain", "--context", "test", "-f", write(tmp_path / "lab.json", lab))
    assert "kube-proxy in nftables mode" in done.out
    assert "client 198.51.100.9" in done.out.replace("\n", " ")
    other = secondhop("explain", "--context", "test", "-f", paste(tmp_path, cluster()))
    assert other.code == 2
    assert "the objects are the cluster's" in other.err


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for role in yaml.safe_load_all(RBAC.read_text())
        if role["metadata"]["name"] == "secondhop-reader"
        for rule in role["rules"]
    ]


def test_the_documented_role_is_enough(secondhop: Secondhop, kubectl: StandIn) -> None:
    kubectl.allow(rules())
    kubectl.serve([*cluster(), daemon_set("cilium"), daemon_set("kube-flannel-ds")])
    options = "--context", "test", "--proxy-mode", "iptables"
    done = secondhop("explain", *options)
    assert done.code == 0
    assert "not allowed" not in done.out


@pytest.mark.parametrize("missing", sorted(KINDS | OPTIONAL))
def test_a_missing_right_is_named(secondhop: Secondhop, kubectl: StandIn, missing: str) -> None:
    resource, _, _ = missing.partition(".")
    kubectl.allow(
        [r | {"resources": [one for one in r["resources"] if one != resource]} for r in rules()]
    )
    done = secondhop("explain", "--context", "test")
    verb = "get" if resource == "configmaps" else "list"
    told = " ".join((done.out if missing in OPTIONAL else done.err).split())
    assert done.code == (0 if missing in OPTIONAL else 3)
    assert f"not allowed (context test): {verb} {missing}" in told
    if missing in KINDS:
        assert 'User "jane" cannot list' in told


def test_all_missing_rights_are_named_at_once(secondhop: Secondhop, kubectl: StandIn) -> None:
    kubectl.allow([])
    done = secondhop("explain", "--context", "test")
    assert done.code == 3
    assert all(f"list {each} " in done.err for each in KINDS)


def test_no_secret_comes_out(secondhop: Secondhop, kubectl: StandIn) -> None:
    kubectl.serve([*cluster(), daemon_set("kindnet")])
    for arguments in (("explain", "--all"), ("explain", "--all", "-o", "json"), ("check",)):
        done = secondhop(*arguments, "--context", "test")
        assert done.code == 0
        assert SECRET not in done.out + done.err


def test_an_object_that_is_odd_does_not_hide_the_others(
    secondhop: Secondhop, kubectl: StandIn
) -> None:
    odd = next(one for one in cluster() if one["kind"] == "Service")
    odd["spec"]["ports"][0]["nodePort"] = 99999
    rest = [one for one in cluster() if one["metadata"]["name"] != "web0"]
    kubectl.serve([odd, *rest])
    done = secondhop("explain", "--context", "test")
    assert done.code == 0
    assert "shop/web1" in done.out
    assert "99999" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "-A"), "-A means a real cluster"),
        (("explain", "svc/web0", "-A", "--context", "test"), "both -A and svc/web0"),
        (("explain", "-n", "x", "-A", "--context", "test"), "both -A and -n x"),
        (("explain", "svc/nope", "--context", "test"), "there is no Service shop/nope"),
        (("explain", "-n", "empty", "--context", "test"), "Name another namespace with -n, or -A"),
        (("check", "--fix", "--context", "test"), "--fix prints whole files"),
        (("explain", "--kubeconfig", "/nonexistent"), "does not exist"),
    ],
)
def test_what_cannot_be_meant(
    secondhop: Secondhop, kubectl: StandIn, arguments: tuple[str, ...], said: str
) -> None:
    done = secondhop(*arguments)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("svc/web0",), "run makes a Service of its own"),
        (("--all",), "--all is for a lab"),
        (("--wait-timeouts",), "--wait-timeouts is for a lab"),
        ((), "Nobody is there to agree"),
        (("--yes", "-f", "{paste}"), "the objects are the cluster's"),
        (("--yes",), "no verdict for proxy mode cilium"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_before_anything_is_made(
    secondhop: Secondhop,
    kubectl: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    kubectl.serve([*cluster(), daemon_set("cilium")])
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    given = (each.format(paste=paste(tmp_path, cluster())) for each in arguments)
    done = secondhop("run", "--context", "test", *given)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not [words for words in kubectl.calls if "apply" in words]
