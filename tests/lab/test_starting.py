"""`lab up` disturbed: by another one, by its caller, by a machine that is short of things."""

import functools
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from staying import Secondhop, gone, processes

MAIN = "import sys; from secondhop.cli import main; sys.exit(main())"
UP = (sys.executable, "-c", MAIN, "lab", "up", "--nodes", "1")


def begin(root: Path, *more: str, **how: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*UP, *more],
        env=os.environ | {"XDG_RUNTIME_DIR": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def test_of_two_at_the_same_time_one_comes_up(secondhop: Secondhop, root: Path) -> None:
    for _ in range(3):
        both = [begin(root), begin(root)]
        said = [one.communicate(timeout=30) for one in both]
        assert sorted(one.returncode for one in both) == [0, 2], said
        assert "the lab default is up already" in said[0][1] + said[1][1]
        assert secondhop("lab", "status").returncode == 0
        assert secondhop("lab", "down").returncode == 0


@pytest.mark.parametrize("moment", range(0, 600, 60))
def test_interrupted_at_any_moment_it_leaves_nothing(
    secondhop: Secondhop, root: Path, moment: int
) -> None:
    one = begin(root, start_new_session=True)
    time.sleep(moment / 1000)
    os.killpg(one.pid, signal.SIGINT)
    out, err = one.communicate(timeout=30)
    if "is up" in out:
        assert secondhop("lab", "status").returncode == 0
        return
    assert gone(root), err
    assert list((root / "secondhop").glob("*")) == []


def test_what_the_caller_had_open_is_closed(secondhop: Secondhop, root: Path) -> None:
    """A lock that `flock` holds for a command, say, is free when the command has ended."""
    reading, writing = os.pipe()
    one = begin(root, pass_fds=[writing])
    os.close(writing)
    one.communicate(timeout=30)
    assert one.returncode == 0
    assert select.select([reading], [], [], 5)[0], "who reads waits for ever"
    os.close(reading)
    assert secondhop("lab", "status").returncode == 0


def test_who_does_not_read_to_the_end_has_a_lab_all_the_same(
    secondhop: Secondhop, root: Path
) -> None:
    one = begin(root)
    assert one.stdout is not None
    one.stdout.close()
    one.wait(30)
    assert one.stderr is not None
    one.stderr.close()
    assert secondhop("lab", "status").returncode == 0


def test_a_lab_outlives_the_terminal_that_it_was_started_at(
    secondhop: Secondhop, root: Path
) -> None:
    shell, terminal = pty.fork()
    if shell == 0:
        os.environ["XDG_RUNTIME_DIR"] = str(root)
        os.execv(UP[0], UP)
    shown = b""
    while b"is up" not in shown:
        shown += os.read(terminal, 1 << 16)
    os.close(terminal)
    os.waitpid(shell, 0)
    assert secondhop("lab", "status").returncode == 0


def test_a_signal_to_the_wrong_process_of_a_lab(secondhop: Secondhop, root: Path) -> None:
    secondhop("lab", "up", "--nodes", "1")
    _, guard, supervisor = processes(root)[:3]
    for number in (signal.SIGTERM, signal.SIGHUP):
        os.kill(supervisor, number)
    assert secondhop("lab", "status").returncode == 0
    os.kill(guard, signal.SIGTERM)
    assert gone(root)
    assert "its process was killed" in secondhop("lab", "status").stderr


def test_a_folder_that_lies_deep(tmp_path: Path) -> None:
    """A socket's path has no more than 107 bytes."""
    deep = tmp_path / ("d" * 100) / "runtime"
    deep.mkdir(parents=True, mode=0o700)
    try:
        one = begin(deep)
        assert one.communicate(timeout=30)[0].startswith("The lab default is up")
    finally:
        down = [sys.executable, "-c", MAIN, "lab", "down"]
        environment = os.environ | {"XDG_RUNTIME_DIR": str(deep)}
        assert subprocess.run(down, env=environment, timeout=30).returncode == 0


def test_too_few_descriptors_are_told(root: Path) -> None:
    few = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (30, 30))
    one = begin(root, "--nodes", "9", preexec_fn=few)
    _, err = one.communicate(timeout=30)
    assert one.returncode == 3
    assert "Too many open files" in err
    assert "Traceback" not in err
    assert gone(root)


def test_nonsense_at_the_control_socket_harms_nobody(secondhop: Secondhop, root: Path) -> None:
    import socket

    secondhop("lab", "up", "--nodes", "1")
    for nonsense in (
        b"nonsense\n", b"[]\n", b"{}\n", b'{"verb": "enter"}\n', b"\xff\n", b"",
        b"[" * 10_000 + b"\n", b'{"verb": "trace", "place": "client", "flow": "AAAA"}\n',
    ):  # fmt: skip
        with socket.socket(socket.AF_UNIX) as sock:
            folder = os.open(root / "secondhop/default", os.O_PATH)
            sock.connect(f"/proc/self/fd/{folder}/control")
            os.close(folder)
            sock.settimeout(5)
            sock.sendall(nonsense)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1000)
    assert secondhop("lab", "status").returncode == 0


def test_an_interrupt_while_the_folder_is_made_waits(root: Path) -> None:
    """It would leave a folder that nobody knows to be his."""
    code = """
import signal, sys
from secondhop.lab import state
mkdir = state.Path.mkdir

def interrupted(path, *arguments, **named):
    mkdir(path, *arguments, **named)
    if path.name == "default":
        signal.raise_signal(signal.SIGINT)

state.Path.mkdir = interrupted
from secondhop.cli import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "lab", "up"],
        env=os.environ | {"XDG_RUNTIME_DIR": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 130, done.stderr
    assert gone(root)
    assert list((root / "secondhop").glob("*")) == []
