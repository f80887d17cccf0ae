"""explain, diff and check of a cluster that answers over HTTPS, through the stock kubectl."""

import json

import pytest

from .conftest import Live

PASTED = "svc,endpointslices,pods,nodes,netpol"


@pytest.mark.parametrize("arguments", [("svc/traffic-test",), ("svc/traffic-test", "--all")])
def test_the_same_cells_as_from_the_paste(
    live: Live, namespace: str, arguments: tuple[str, ...]
) -> None:
    pasted = live.kubectl("get", PASTED, "-A", "-o", "yaml")
    common = "explain", *arguments, "-n", namespace, "-o", "json"
    version = json.loads(live.kubectl("version", "-o", "json"))["serverVersion"]
    release = f"{version['major']}.{version['minor'].rstrip('+')}"
    of_paste = live.secondhop(*common, "-f", "-", "--kube-version", release, stdin=pasted)
    read = live.secondhop(*common, "--kubeconfig", str(live.kubeconfig))
    assert (of_paste.returncode, read.returncode) == (0, 0), read.stderr
    told = json.loads(read.stdout)
    pasted_told = json.loads(of_paste.stdout)
    assert told["cells"] == pasted_told["cells"] != []
    assert told["inferred"][:2] == pasted_told["inferred"][:2]
    assert {one["what"] for one in told["inferred"]} == {
        "proxy mode",
        "pod network",
        "Kubernetes version",
    }


@pytest.mark.parametrize(("policy", "code"), [("Local", 1), ("Cluster", 0)])
def test_a_change_is_predicted_of_the_cluster_as_it_is(
    live: Live, namespace: str, policy: str, code: int
) -> None:
    named = "svc/traffic-test", "-n", namespace, "--kubeconfig", str(live.kubeconfig)
    change = "--set", f"externalTrafficPolicy={policy}", "--exit-code"
    assert live.secondhop("diff", *named, *change).returncode == code


def test_a_requirement_of_a_cluster(live: Live, namespace: str) -> None:
    named = "svc/traffic-test", "-n", namespace, "--kubeconfig", str(live.kubeconfig)
    done = live.secondhop("check", *named, "--require", "client-ip", "-o", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["met"] is False


def test_contexts_are_told_apart(live: Live, namespace: str) -> None:
    done = live.secondhop("explain", "--kubeconfig", str(live.kubeconfig), "--context", "nope")
    assert done.returncode == 3
    assert "the kubeconfig does not lead to a cluster (context nope)" in done.stderr


def test_the_token_stays_in_its_file(live: Live, namespace: str) -> None:
    token = json.loads(live.kubectl("config", "view", "--raw", "-o", "json"))["users"][0]["user"]
    done = live.secondhop("explain", "--kubeconfig", str(live.kubeconfig), "-A", "-o", "json")
    assert done.returncode == 0, done.stderr
    for value in filter(lambda one: isinstance(one, str), token.values()):
        assert value not in done.stdout + done.stderr
