"""The experiment as the hand types it: stock kubectl's, on a lab that stays."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kubectls import binaries
from staying import Secondhop

GOOD = Path(__file__).parents[1] / "fixtures/reference/good.yaml"
GZ1, XJP1 = "192.168.8.1", "172.17.26.70"
LOCAL = '{"spec": {"externalTrafficPolicy": "Local"}}'
ALWAYS = ("pypi", "machine")
Type = Callable[..., str]


@pytest.fixture(params=[name for name in binaries() if name in ALWAYS])
def typed(request: pytest.FixtureRequest, secondhop: Secondhop, root: Path, tmp_path: Path) -> Type:
    """A shell in a folder with good.yaml: kubectl, secondhop and curl as the client would type it.

    What it types must succeed; it gives what was printed.
    """
    assert secondhop("lab", "up").returncode == 0
    programs = tmp_path / "bin"
    programs.mkdir()
    main = "import sys; from secondhop.cli import main; sys.exit(main())"
    secondhop_program = f'{sys.executable} -c "{main}"'
    for name, command in [
        ("secondhop", secondhop_program),
        ("kubectl", str(binaries()[request.param])),
        ("curl", f"{secondhop_program} lab exec client -- {shutil.which('curl')}"),
    ]:
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(root),
        "KUBECONFIG": str(root / "secondhop/default/kubeconfig"),
    }

    def type_in(line: str, *, status: int = 0, **more: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=GOOD.parent,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, (line, done.stdout, done.stderr)
        return done.stdout

    return type_in


def soon(typed: Type, line: str, wanted: str, seconds: float = 15) -> str:
    """Type a line until it prints what is wanted."""
    deadline = time.monotonic() + seconds
    while not re.search(wanted, printed := typed(line)):
        assert time.monotonic() < deadline, (line, printed)
        time.sleep(0.1)
    return printed


def test_the_reference_experiment_word_by_word(typed: Type) -> None:
    assert typed("kubectl apply -f good.yaml") == (
        "deployment.apps/traffic-test created\nservice/traffic-test created\n"
    )
    pods = soon(typed, "kubectl get pods -lapp=traffic-test -o wide", "1/1 +Running")
    assert re.search(r"traffic-test-\w+-\w+ +1/1 +Running +0 +\d+s +10\.42\.1\.\d+ +xjp1 ", pods)
    service = typed("kubectl get svc traffic-test")
    assert re.search(r"traffic-test +NodePort +10\.43\.\d+\.\d+ +<none> +80:30316/TCP ", service)
    assert "RemoteAddr: 10.42.1.1:" in typed(f"curl -s {XJP1}:30316")
    assert "RemoteAddr: 10.42.0.0:" in typed(f"curl -s {GZ1}:30316")
    assert typed(f"kubectl patch svc traffic-test -p '{LOCAL}'") == "service/traffic-test patched\n"
    if shutil.which("yq"):
        line = "kubectl get svc traffic-test -o yaml | yq '.spec.externalTrafficPolicy'"
        assert typed(line).strip('"\n') == "Local"
    assert "externalTrafficPolicy: Local\n" in typed("kubectl get svc traffic-test -o yaml")
    time.sleep(1)  # "a patch takes effect in the kernel within a second"
    assert "RemoteAddr: 192.168.22.2:" in typed(f"curl -s {XJP1}:30316")
    assert typed(f"curl -s --connect-timeout 1 {GZ1}:30316 || echo timeout") == "timeout\n"


def test_what_else_hands_type(typed: Type) -> None:
    typed("kubectl apply -f good.yaml")
    typed("kubectl wait deployment/traffic-test --for=condition=Available --timeout=20s")
    assert "unchanged" in typed("kubectl apply -f good.yaml")
    assert len(typed("kubectl get nodes").splitlines()) == 3
    described = typed("kubectl describe svc traffic-test")
    assert re.search(r"Endpoints: +10\.42\.1\.\d+:80", described)
    soon(typed, "kubectl describe deploy traffic-test", "ScalingReplicaSet")
    soon(typed, "kubectl describe pod -lapp=traffic-test", "Started container")
    assert "KubeletReady" in typed("kubectl describe node gz1")
    for kind, patch in [
        ("strategic", LOCAL),
        ("merge", '{"spec": {"externalTrafficPolicy": "Cluster"}}'),
        ("json", '[{"op":"replace","path":"/spec/externalTrafficPolicy","value":"Local"}]'),
    ]:
        assert "patched" in typed(f"kubectl patch svc traffic-test --type {kind} -p '{patch}'")
    edited = typed("kubectl edit svc traffic-test", EDITOR="sed -i s/Local/Cluster/")
    assert edited == "service/traffic-test edited\n"
    assert "scaled" in typed("kubectl scale deployment traffic-test --replicas=3")
    assert "successfully rolled out" in typed("kubectl rollout status deployment/traffic-test")
    typed("kubectl set env deployment/traffic-test WHOAMI_NAME=second")
    assert "successfully rolled out" in typed("kubectl rollout status deployment/traffic-test")
    assert "Name: second" in soon(typed, f"curl -s {GZ1}:30316", "RemoteAddr")
    assert "rolled back" in typed("kubectl rollout undo deployment/traffic-test")
    assert "restarted" in typed("kubectl rollout restart deployment/traffic-test")
    assert "successfully rolled out" in typed("kubectl rollout status deployment/traffic-test")
    assert "image updated" in typed("kubectl set image deployment/traffic-test whoami=nginx")
    soon(typed, "kubectl get pods", "ErrImagePull")
    soon(typed, "kubectl get events", "Available: traefik/whoami")
    typed("kubectl set image deployment/traffic-test whoami=traefik/whoami:v1.11")
    assert "successfully rolled out" in typed("kubectl rollout status deployment/traffic-test")
    assert "labeled" in typed("kubectl label svc traffic-test team=edge")
    assert "\n" in typed("kubectl get svc -l team=edge --no-headers")
    assert "cordoned" in typed("kubectl cordon gz1")
    assert "drained" in typed("kubectl drain gz1 --ignore-daemonsets --timeout=40s")
    soon(typed, "kubectl get pods -o wide --no-headers | grep -c ' xjp1 '", "3")
    assert "uncordoned" in typed("kubectl uncordon gz1")
    assert "Starting up on port 80" in typed("kubectl logs deployment/traffic-test")
    log = "timeout 2 kubectl logs -f deployment/traffic-test"
    assert "Starting up on port 80" in typed(log, status=124)
    inside = typed("kubectl exec deploy/traffic-test -- sh -c 'hostname; ip -4 -brief address'")
    assert re.search(r"traffic-test-\w+-\w+\n(.*\n)*eth0@\S+ +UP +10\.42\.", inside)
    typed("kubectl exec deploy/traffic-test -- sh -c 'exit 3'", status=3)
    assert "externalTrafficPolicy" in typed("kubectl explain service.spec.externalTrafficPolicy")
    changed = "sed s/30316/30317/ good.yaml | kubectl diff -f -"
    assert "nodePort: 30317" in typed(changed, status=1)
    watched = typed("timeout 2 kubectl get pods -w", status=124)
    assert len(watched.splitlines()) >= 4
    assert "deleted" in typed("kubectl delete -f good.yaml --wait --timeout=40s")
    assert typed("kubectl get deployments,services -lapp=traffic-test --no-headers") == ""
