"""`lab exec` and `lab shell` at a terminal: keys, job control, sizes, exit codes."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from staying import Secondhop, sleepers

MAIN = "import sys; from secondhop.cli import main; sys.exit(main())"
SECONDS = 10.0


class Terminal:
    """A secondhop command with a terminal of its own, and who sits there."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ["XDG_RUNTIME_DIR"] = str(root)
            os.execv(sys.executable, [sys.executable, "-c", MAIN, *arguments])

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def read(self, until: str) -> str:
        """What is shown, up to and including this."""
        shown, deadline = "", time.monotonic() + SECONDS
        while until not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([self._fd], [], [], 0.1)[0]:
                shown += os.read(self._fd, 1 << 16).decode()
        return shown

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def status(self) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        raise AssertionError("it does not end")

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


@pytest.fixture
def terminal(root: Path, secondhop: Secondhop) -> Iterator[Callable[..., Terminal]]:
    assert secondhop("lab", "up", "--nodes", "1").returncode == 0
    opened: list[Terminal] = []

    def begin(*arguments: str) -> Terminal:
        opened.append(Terminal(root, *arguments))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


def client(*program: str) -> tuple[str, ...]:
    return "lab", "exec", "client", "--", *program


def test_ctrl_c_is_the_programs(terminal: Callable[..., Terminal]) -> None:
    simple = terminal(*client("sh", "-c", "echo up; exec sleep 100"))
    simple.read("up")
    simple.type("\x03")
    assert simple.status() == 128 + signal.SIGINT
    handling = terminal(*client("sh", "-c", "trap 'echo caught' INT; echo up; read x; exit 4"))
    handling.read("up")
    handling.type("\x03")
    handling.read("caught")
    handling.type("\r")
    assert handling.status() == 4


def test_a_shell_controls_its_jobs(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("lab", "shell")
    shell.read("(secondhop lab default: client)")
    shell.resize(31, 97)
    shell.type("stty size\r")
    shell.read("31 97")
    for key, said in ("\x03", "130"), ("\x1a", "148"):
        shell.type("sleep 100\r")
        time.sleep(0.3)
        shell.type(f"{key}echo was=$?\r")
        shell.read(f"was={said}")
    shell.type("kill -9 %1; kubectl config current-context; exit 5\r")
    shell.read("lab-default")
    assert shell.status() == 5


def test_nothing_of_the_lab_leaks_into_a_program(secondhop: Secondhop) -> None:
    assert secondhop("lab", "up", "--nodes", "1").returncode == 0
    shown = secondhop(*client("sh", "-c", "ls -l /proc/$$/fd")).stdout
    assert not [line for line in shown.splitlines() if ":[" in line and "pipe:" not in line]


def test_what_cannot_be_run_is_told(secondhop: Secondhop) -> None:
    assert secondhop("lab", "up", "--nodes", "1").returncode == 0
    missing, forbidden = secondhop(*client("nosuch")), secondhop(*client("/etc/passwd"))
    assert (missing.returncode, forbidden.returncode) == (2, 2)
    assert "there is no program nosuch" in missing.stderr
    assert "/etc/passwd cannot be run in the lab: Permission denied" in forbidden.stderr
    assert secondhop(*client("sh", "-c", "exit 127")).returncode == 127


def test_a_killed_exec_takes_its_program_along(secondhop: Secondhop, root: Path) -> None:
    assert secondhop("lab", "up", "--nodes", "1").returncode == 0
    mark = f"{os.getpid()}.25"
    environment = os.environ | {"XDG_RUNTIME_DIR": str(root)}
    caller = subprocess.Popen([sys.executable, "-c", MAIN, *client("sleep", mark)], env=environment)
    deadline = time.monotonic() + SECONDS
    while not sleepers(mark):
        assert time.monotonic() < deadline
    caller.kill()
    caller.wait()
    while sleepers(mark):
        assert time.monotonic() < deadline


def test_orphans_are_waited_for(secondhop: Secondhop) -> None:
    assert secondhop("lab", "up", "--nodes", "1").returncode == 0
    secondhop(*client("sh", "-c", "for i in $(seq 100); do sleep 0 & done"))
    deadline = time.monotonic() + 2 * SECONDS
    while "Z" in secondhop(*client("sh", "-c", "cat /proc/[0-9]*/stat")).stdout.split():
        assert time.monotonic() < deadline
