"""The documented roles are what each verb needs, by an API that grants nothing else; and an API
that fails now and then, seen through the stock kubectl."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import Done, Live

HERE = Path(__file__).parent
ROLES = {
    role["metadata"]["name"]: role["rules"]
    for role in yaml.safe_load_all((HERE.parents[1] / "docs/examples/rbac.yaml").read_text())
}
READER, RUNNER = ROLES["secondhop-reader"], ROLES["secondhop-runner"]
Rules = list[dict[str, Any]]


@contextlib.contextmanager
def gate(
    lab: Live, folder: Path, rules: Rules, faults: list[dict[str, Any]] | None = None
) -> Iterator[str]:
    """A kubeconfig for the lab that allows only this."""
    config = json.loads(lab.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    words = [
        *lab.inside, sys.executable, str(HERE / "gatekeeper.py"),
        config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"],
        json.dumps(rules), json.dumps(faults or []),
    ]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=lab.environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        config["users"][0]["user"] = {}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        try:
            yield str(path)
        finally:
            process.terminate()


def reading(lab: Live, kubeconfig: str, namespace: str) -> Done:
    return lab.secondhop("explain", "svc/traffic-test", "-n", namespace, "--kubeconfig", kubeconfig)


def test_the_readers_role_is_enough_to_read(lab: Live, namespace: str, tmp_path: Path) -> None:
    with gate(lab, tmp_path, READER) as kubeconfig:
        done = reading(lab, kubeconfig, namespace)
        assert done.returncode == 0, done.stderr
        assert "not allowed" not in done.stdout
        refused = lab.secondhop("run", "--yes", "--kubeconfig", kubeconfig)
    assert refused.returncode == 3
    assert "not allowed: get namespaces at the cluster scope (to create" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_api_that_fails_now_and_then(lab: Live, namespace: str, tmp_path: Path) -> None:
    faults = [
        {"on": "GET /api/v1/nodes", "status": 0, "times": 2},
        {"on": "services", "status": 500, "times": 2},
        {"on": "pods", "status": 429, "times": 2},
    ]
    with gate(lab, tmp_path, READER, faults) as kubeconfig:
        done = reading(lab, kubeconfig, namespace)
    assert done.returncode == 0, done.stderr


def test_the_experiment_with_the_runners_role_and_an_api_that_fails_now_and_then(
    lab: Live, tmp_path: Path
) -> None:
    faults = [
        {"on": "POST /api/v1/namespaces", "status": 500, "times": 1},
        {"on": "PATCH", "status": 0, "times": 1},
        {"on": "DELETE", "status": 429, "times": 1},
    ]
    with gate(lab, tmp_path, READER + RUNNER, faults) as kubeconfig:
        done = lab.secondhop("run", "--yes", "--kubeconfig", kubeconfig)
        assert done.returncode == 0, done.stderr
        left = lab.secondhop("cleanup", "--kubeconfig", kubeconfig)
    assert left.stdout.startswith("Nothing of secondhop's is left")


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_have_expired(
    lab: Live, namespace: str, tmp_path: Path, status: int
) -> None:
    faults = [{"on": "GET", "status": status, "times": 1000}]
    with gate(lab, tmp_path, READER, faults) as kubeconfig:
        done = reading(lab, kubeconfig, namespace)
    assert done.returncode == 3
    assert ("does not accept the credentials" if status == 401 else "not allowed") in done.stderr
