"""Planted faults: behind secondhop's back something is wrong, and `run` must say which row."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = [sys.executable, "-c", "import sys; from secondhop.cli import main; sys.exit(main())", "run"]
REAL = shutil.which("iptables-nft-restore", path="/usr/sbin:/sbin")


def run_with(tmp_path: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`secondhop run` with another iptables-restore first in the PATH."""
    for name in ("iptables-nft-restore", "iptables-restore"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    path = f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"
    return subprocess.run(
        [*RUN, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PATH": path},
    )


FAULTS = {
    # Through gz1 nothing changes: flannel's last rule masquerades what kube-proxy left alone.
    "a masquerade rule is missing": (
        f"grep -v 'masquerade traffic for' | {REAL} \"$@\"",
        "Cluster through xjp1",
    ),
    "cni0 has a wrong address": (
        "ip addr show dev cni0 | grep -q 10.42.1.1/24 && "
        "ip addr add 10.42.1.77/24 dev cni0 && ip addr del 10.42.1.1/24 dev cni0 && "
        f'ip addr add 10.42.1.1/32 dev cni0; exec {REAL} "$@"',
        "Cluster through xjp1",
    ),
    "the drop is missing": (
        f"grep -v 'has no local endpoints.* -j DROP' | {REAL} \"$@\"",
        "Local through gz1",
    ),
    "the second hop is cut": (
        f'ip route del 10.42.1.0/24 dev flannel.1 2>/dev/null; exec {REAL} "$@"',
        "Cluster through gz1",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_ends_with_exit_4_and_names_the_row(tmp_path: Path, fault: str) -> None:
    script, row = FAULTS[fault]
    done = run_with(tmp_path, script)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Prediction and packets DISAGREE in " in done.stdout
    assert f"DISAGREE: {row} " in done.stdout


def test_json_names_it_too(tmp_path: Path) -> None:
    done = run_with(tmp_path, FAULTS["the drop is missing"][0], "-o", "json")
    assert done.returncode == 4
    answer = json.loads(done.stdout)
    assert answer["agree"] is False
    wrong = [t for t in answer["trials"] if not t["agree"]]
    assert [(t["policy"], t["destination"]["node"]) for t in wrong] == [("Local", "gz1")]
    assert wrong[0]["observed"]["fate"] == "closed"


def test_a_restore_that_fails_is_reported_with_its_complaint(tmp_path: Path) -> None:
    done = run_with(tmp_path, "echo 'line 7 failed' >&2; exit 1")
    assert done.returncode == 3
    assert "line 7 failed" in done.stderr
    assert "predicted, not observed" in done.stdout


def test_no_iptables_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from secondhop.errors import EnvironmentUnable
    from secondhop.lab import iptables

    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(EnvironmentUnable, match="apt-get install iptables"):
        iptables.restore_program()
