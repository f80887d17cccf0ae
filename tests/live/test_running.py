"""The experiment on a cluster, and that nothing of it is left, whatever ends it."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from secondhop.live.stage import LABEL, PREFIX
from secondhop.report.schema import schema

from .conftest import Live

OURS = "get", "namespaces", "-l", f"{LABEL}=secondhop", "-o", "name"
NODES = {"gz1": "192.168.8.1", "xjp1": "172.17.26.70"}


def run(live: Live, *options: str) -> subprocess.CompletedProcess[str]:
    return live.secondhop("run", "--kubeconfig", str(live.kubeconfig), *options)


def test_the_reference_experiment(live: Live) -> None:
    done = run(live, "--yes", "-o", "json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(schema("Experiment")).validate(told)
    assert told["agree"] is True
    assert {row["policy"] for row in told["trials"]} == {"Cluster", "Local"}
    assert live.kubectl(*OURS) == ""
    claims = {claim["id"]: claim["verdict"] for claim in told["claims"]}
    assert claims["any-node-serves"] == "true"
    assert claims["change-cuts-connections"] == "false"
    if not live.is_lab:
        return
    (home,) = {b["node"] for row in told["trials"] for b in row["predicted"]["backends"]}
    (away,) = NODES.keys() - {home}
    number = [*NODES].index(home)
    assert {
        (row["policy"], row["destination"]["node"]): [*row["observed"]["sourceIPs"]]
        for row in told["trials"]
    } == {
        ("Cluster", home): [f"10.42.{number}.1"],
        ("Cluster", away): [f"10.42.{1 - number}.0"],
        ("Local", home): ["192.168.22.2"],
        ("Local", away): [],
    }


@pytest.mark.soak
def test_two_pods_behind_a_service(live: Live) -> None:
    done = run(live, "--yes", "--replicas", "2", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kubectl patch svc traffic-test" in done.stdout
    assert live.kubectl(*OURS) == ""


def test_it_asks_before_it_begins(live: Live) -> None:
    done = run(live)
    assert done.returncode == 2
    assert "This makes a namespace secondhop-" in done.stderr
    assert "--yes" in done.stderr
    assert live.kubectl(*OURS) == ""


def test_an_image_that_is_not_there(lab: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = (
        "import secondhop.live.experiment as e; e.Wish.__new__.__defaults__ = (1, 'NodePort', 1.0)"
    )
    command = lab.command("run", "--kubeconfig", str(lab.kubeconfig), "--yes", "--image", "no/such")
    program = command.index("-c") + 1 + command[command.index("-c") + 1 :].index("-c") + 1
    command[program] = f"{wish}; {command[program]}"
    done = subprocess.run(
        command, capture_output=True, text=True, env=lab.environment, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 3
    assert "the pods were not ready within 1 s: ErrImagePull" in done.stderr
    assert "--image" in done.stderr
    assert lab.kubectl(*OURS) == ""


def program(live: Live, pid: int) -> int | None:
    """The process of the run itself: in a lab, that of which `lab exec` is the grandparent. None if
    it has ended already."""
    for _ in range(2 if live.is_lab else 0):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return None
        pid = int(children[0])
    return pid


def ended(live: Live, number: signal.Signals, seconds: float) -> int:
    """The exit code of a run that is sent a signal after so long."""
    command = live.command("run", "--kubeconfig", str(live.kubeconfig), "--yes")
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=live.environment,
    ) as process:
        assert process.stderr is not None
        if not process.stderr.readline().startswith("making namespace"):
            raise AssertionError
        time.sleep(seconds)
        if (running := program(live, process.pid)) is not None:
            os.kill(running, number)
        process.communicate(timeout=90)
        return process.returncode


INTERRUPTS = signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 1.0), (signal.SIGTERM, 0.05)])
def test_an_interrupt_leaves_nothing(live: Live, number: signal.Signals, seconds: float) -> None:
    assert ended(live, number, seconds) != 0
    assert live.kubectl(*OURS) == ""


def test_what_a_killed_run_left_is_cleaned_up(live: Live, namespace: str) -> None:
    ended(live, signal.SIGKILL, 1.0)
    (left,) = live.kubectl(*OURS).split()
    assert left.startswith(f"namespace/{PREFIX}")
    options = "--kubeconfig", str(live.kubeconfig)
    unasked = live.secondhop("cleanup", *options)
    assert unasked.returncode == 2
    assert left.partition("/")[2] in unasked.stderr
    done = live.secondhop("cleanup", *options, "--yes")
    assert (done.returncode, live.kubectl(*OURS)) == (0, "")
    assert done.stdout.startswith("Removed 1 namespace from ")
    again = live.secondhop("cleanup", *options)
    assert again.stdout.startswith("Nothing of secondhop's is left on ")
    assert namespace in live.kubectl("get", "namespaces", "-o", "name")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_interrupts_leave_nothing(live: Live) -> None:
    chance = random.Random(8)
    for n in range(50):
        ended(live, INTERRUPTS[n % 2], chance.uniform(0, 5))
        assert live.kubectl(*OURS) == "", n


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills_leave_nothing_after_cleanup(live: Live) -> None:
    chance = random.Random(8)
    for _ in range(50):
        ended(live, signal.SIGKILL, chance.uniform(0, 5))
    done = live.secondhop("cleanup", "--kubeconfig", str(live.kubeconfig), "--yes")
    assert (done.returncode, live.kubectl(*OURS)) == (0, "")
