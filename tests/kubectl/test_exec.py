"""Programs in pods."""

from __future__ import annotations

import subprocess
import time

import pytest

from .conftest import Kube

WEBSOCKETS = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true"}


@pytest.fixture
def speaks(kube: Kube) -> Kube:
    """A kubectl that knows WebSockets; of an older one, that it is told what it lacks."""
    if kube.minor < 29:
        done = kube.run("exec", "web", "--", "true")
        assert "not over SPDY: use kubectl 1.31 or later" in done.stderr
        pytest.skip("SPDY only")
    return kube


def execute(kube: Kube, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return kube.run("exec", *args, stdin=stdin, **WEBSOCKETS)


def test_output_and_exit_status(speaks: Kube) -> None:
    done = execute(speaks, "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    assert execute(speaks, "deploy/web", "--", "true").returncode == 0


def test_input_to_its_end(speaks: Kube) -> None:
    text = "".join(f"line {number}\n" for number in range(50_000))
    done = execute(speaks, "-i", "web", "-c", "web", "--", "cat", stdin=text)
    assert done.stdout == text
    assert execute(speaks, "web", "--", "cat", stdin="ignored").stdout == ""


def test_what_cannot_run_is_told(speaks: Kube) -> None:
    done = execute(speaks, "web", "-c", "no", "--", "true")
    assert done.returncode == 1
    assert "container no is not valid for pod web" in done.stderr
    assert "not found" in execute(speaks, "none", "--", "true").stderr


def test_a_terminal_and_its_size(speaks: Kube) -> None:
    command = ["script", "-qec", f"{speaks.binary} exec -it web -- sleep 0.5", "/dev/null"]
    done = subprocess.run(
        command, env=speaks.environment | WEBSOCKETS, stdin=subprocess.DEVNULL, timeout=30
    )
    assert done.returncode == 0
    assert speaks.agent.programs[-1].sizes


def test_the_program_ends_with_its_client(speaks: Kube) -> None:
    with subprocess.Popen(
        [speaks.binary, "exec", "web", "--", "sh", "-c", "echo on; exec sleep 60"],
        env=speaks.environment | WEBSOCKETS,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        process.kill()
    end = time.monotonic() + 10
    while speaks.agent.programs[-1].running and time.monotonic() < end:
        time.sleep(0.02)
    assert not speaks.agent.programs[-1].running
