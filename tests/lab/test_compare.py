"""`secondhop compare` on a real kernel: what it measures is what is predicted, a planted fault is
found, and nothing is left of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from comparisons import VERDICTS
from conftest import Unprivileged
from jsonschema import Draft202012Validator

from secondhop.cli.comparing import subject
from secondhop.experiment.compare import Doing, Plan, compare
from secondhop.lab.client import Lab
from secondhop.lab.stage import Stage
from secondhop.model.comparison import Comparison
from secondhop.report.schema import schema

COMPARE = [
    sys.executable,
    "-c",
    "import sys; from secondhop.cli import main; sys.exit(main())",
    "compare",
]
DOCS = Path(__file__).parents[2] / "docs"
DAEMONS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: prepare, image: busybox}]
      containers:
      - name: nginx
        image: nginx:1.27
        ports: [{name: http, containerPort: 8080}]
        envFrom: [{secretRef: {name: password}}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""
SIX = """
apiVersion: secondhop/v1
kind: Lab
client: {address: "2001:db8:22::2"}
nodes:
- {name: a, address: "2001:db8:1::1", podCIDR: "fd00:10:42::/64"}
- {name: b, address: "2001:db8:7::1", podCIDR: "fd00:10:42:1::/64"}
- {name: c, address: "2001:db8:8::1", podCIDR: "fd00:10:42:2::/64"}
network: {podCIDR: "fd00:10:42::/48", serviceCIDR: "fd00:10:43::/112"}
proxy: {mode: nftables}
nodeGraceSeconds: 4
balancer: {interval: 0.5, threshold: 2}
"""


class Made(NamedTuple):
    code: int
    told: dict[str, Any]
    progress: str
    page: str


@pytest.fixture(scope="module")
def made(unprivileged: Unprivileged) -> Made:
    """One quick comparison, by a user without privileges."""
    page = unprivileged.home / "compare.html"
    done = unprivileged.run("compare", "--quick", "-o", "json", "--html", str(page))
    assert done.stdout, done.stderr
    return Made(done.returncode, json.loads(done.stdout), done.stderr, page.read_text())


def test_prediction_and_measurement_agree(made: Made) -> None:
    judged = [*made.told["rest"], *made.told["disturbances"], *made.told["trials"]]
    assert [one for one in judged if not one["agree"]] == []
    assert made.told["agree"] is True
    assert made.code == 0


def test_it_is_valid_by_its_schema(made: Made) -> None:
    assert list(Draft202012Validator(schema("Comparison")).iter_errors(made.told)) == []


def test_what_the_policies_cost(made: Made) -> None:
    """The received wisdom of semantics §14: who is cut off by a node's death, and for how long."""
    cluster, local = made.told["rest"]
    assert (cluster["clientIP"], local["clientIP"]) == ("replaced", "kept")
    assert set(cluster["hops"]) == {"1", "2"}
    assert set(local["hops"]) == {"1"}
    assert local["imbalance"] > cluster["imbalance"]
    under_cluster, under_local = made.told["disturbances"]
    assert {one["event"] for one in (under_cluster, under_local)} == {"node dies"}
    assert under_cluster["lost"] > under_local["lost"] > 0
    assert under_cluster["windowSeconds"][1] > under_local["windowSeconds"][1]
    noticed = [mark["what"] for mark in under_cluster["marks"]]
    assert "the balancer leaves gz1 out" in noticed
    assert "gz1 is NotReady" in noticed


def test_every_claim_has_its_verdict(made: Made) -> None:
    assert {claim["id"]: claim["verdict"] for claim in made.told["claims"]} == VERDICTS


def test_progress_goes_to_stderr_without_escapes(made: Made) -> None:
    lines = made.progress.splitlines()
    assert lines[0].startswith("building the lab")
    assert all(line.endswith("s left)") for line in lines)
    assert "\x1b" not in made.progress


def test_the_page_is_written(made: Made) -> None:
    assert made.page.startswith("<!doctype html>")
    assert "agree in 17 of 17" in made.page


def test_the_documented_output_is_what_it_prints(made: Made) -> None:
    """Figures differ from run to run; measures, claims and sentences do not."""
    shown = " ".join((DOCS / "compare.md").read_text().split())
    assert [c["says"] for c in made.told["claims"] if f"{c['says']}:" not in shown] == []
    for measure in ("share of each pod", "connect p99", "connections/s", "lost, node dies"):
        assert measure in shown
    constant = made.told["secondHop"].partition(": ")[0]
    assert constant in shown


def test_what_else_breaks_is_as_predicted() -> None:
    """A killed pod refuses until its kubelet looks; a rollout and a drain come to an end."""
    with Lab() as lab, Stage() as stage:
        of = subject(
            None, (), None, policies=("Cluster", "Local"), balancer=None, pods=None, quick=True
        )
        plan = Plan(80, 80, 0.2, 0.01, 0.2, {"pod dies": 2, "rollout": 2.5, "drain": 2.5})
        *doing, found = compare(lab, stage, of, plan)
    assert isinstance(found, Comparison)
    assert [one for one in found.disturbances if not one.agree] == []
    killed = [one for one in found.disturbances if one.event == "pod dies"]
    for one in killed:
        assert one.window is not None
        assert one.window[1] < 2
    assert all(one.foretold or one.expected for one in found.disturbances)
    told = [event.what for event in doing if isinstance(event, Doing)]
    assert list(dict.fromkeys(told))[-1] == "drain: watching what is lost"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMPARE, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, **environ},
    )


def test_a_planted_fault_flips_shares_and_claims(tmp_path: Path) -> None:
    """Without a way between the nodes half of Cluster's connections are lost."""
    real = shutil.which("iptables-nft-restore", path="/usr/sbin:/sbin")
    script = f'ip route del 10.42.1.0/24 dev flannel.1 2>/dev/null; exec {real} "$@"'
    for name in ("iptables-nft-restore", "iptables-restore"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = run("--quick", "-o", "json", PATH=f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert told["agree"] is False
    assert {one["policy"]: one["agree"] for one in told["rest"]} == {
        "Cluster": False,
        "Local": True,
    }
    verdicts = {claim["id"]: claim["verdict"] for claim in told["claims"]}
    assert verdicts["any-node-serves"] == "false"
    assert verdicts["local-drops"] == "true if"


def test_an_interrupt_leaves_nothing() -> None:
    process = subprocess.Popen(
        [*COMPARE, "--quick"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    while "at rest" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in said
    deadline = time.monotonic() + 5
    while (
        subprocess.run(["pgrep", "-s", str(process.pid)], stdout=subprocess.DEVNULL).returncode == 0
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--html", "/nowhere/page.html"), "/nowhere/page.html: No such file or directory"),
        (("--html", "/"), "/: Is a directory"),
        (("--pods", "1/x"), "--pods 1/x is not counts of pods"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(
    arguments: tuple[str, ...], said: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"secondhop: {said}\n  ")


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--pods", "3/1/0"),
        ("--balancer", "single-node", "--pods", "2/2"),
        ("-f", "daemons.yaml"),
        ("-f", "daemons.yaml", "-f", "six.yaml"),
        ("-f", "daemons.yaml", "-f", "six.yaml", "--balancer", "single-node"),
    ],
    ids=" ".join,
)
def test_all_of_it_agrees(given: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "daemons.yaml").write_text(DAEMONS)
    (tmp_path / "six.yaml").write_text(SIX)
    files = [str(tmp_path / each) if each.endswith(".yaml") else each for each in given]
    done = run(*files, "-o", "json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    told = json.loads(done.stdout)
    events = ["pod dies", "node dies", "drain"] if "-f" in given else None
    found = list(dict.fromkeys(one["event"] for one in told["disturbances"]))
    assert found == (events or ["pod dies", "rollout", "node dies", "drain"])
    assert told["elapsedSeconds"] < 60


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_twice_with_the_same_seed_is_alike() -> None:
    """Within the error that each states: counts of both by the same prediction, and of each by
    what the other saw."""
    first, second = (
        json.loads(run("--pods", "2/1", "-o", "json", "--seed", "7").stdout) for _ in range(2)
    )
    assert first["agree"]
    assert second["agree"]
    for one, other in zip(first["rest"], second["rest"], strict=True):
        seen = zip(sorted(one["pods"].values()), sorted(other["pods"].values()), strict=True)
        assert all(abs(a - b) < 5 * (a + b) ** 0.5 for a, b in seen)
    for one, other in zip(first["disturbances"], second["disturbances"], strict=True):
        for a, b in zip(one["judged"], other["judged"], strict=True):
            assert a["predicted"] == b["predicted"]
    assert [c["verdict"] for c in first["claims"]] == [c["verdict"] for c in second["claims"]]
