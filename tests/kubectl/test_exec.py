"""Programs in pods."""

from __future__ import annotations

import subprocess
import time

from .conftest import Kube

WEBSOCKETS = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true"}


def execute(kube: Kube, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return kube.run("exec", *args, stdin=stdin, **WEBSOCKETS)


def test_output_and_exit_status(kube: Kube) -> None:
    done = execute(kube, "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    assert execute(kube, "deploy/web", "--", "true").returncode == 0


def test_input_to_its_end(kube: Kube) -> None:
    text = "".join(f"line {number}\n" for number in range(50_000))
    done = execute(kube, "-i", "web", "-c", "web", "--", "cat", stdin=text)
    assert done.stdout == text
    assert execute(kube, "web", "--", "cat", stdin="ignored").stdout == ""


def test_what_cannot_run_is_told(kube: Kube) -> None:
    done = execute(kube, "web", "-c", "no", "--", "true")
    assert done.returncode == 1
    assert "container no is not valid for pod web" in done.stderr
    assert "not found" in execute(kube, "none", "--", "true").stderr


def test_a_terminal_and_its_size(kube: Kube) -> None:
    command = ["script", "-qec", f"{kube.binary} exec -it web -- sleep 0.5", "/dev/null"]
    done = subprocess.run(
        command, env=kube.environment | WEBSOCKETS, stdin=subprocess.DEVNULL, timeout=30
    )
    assert done.returncode == 0
    assert kube.agent.programs[-1].sizes


def test_the_program_ends_with_its_client(kube: Kube) -> None:
    with subprocess.Popen(
        [kube.binary, "exec", "web", "--", "sh", "-c", "echo on; exec sleep 60"],
        env=kube.environment | WEBSOCKETS,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        process.kill()
    end = time.monotonic() + 10
    while kube.agent.programs[-1].running and time.monotonic() < end:
        time.sleep(0.02)
    assert not kube.agent.programs[-1].running
