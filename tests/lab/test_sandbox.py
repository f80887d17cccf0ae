"""Nothing outlives the lab, whatever kills it; and a kernel that refuses is named."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import reference, sandboxed

from secondhop.errors import EnvironmentUnable, LabError
from secondhop.lab.client import Lab
from secondhop.lab.doctor import examine, why_refused
from secondhop.lab.sandbox import Sandbox, refused

RUN = [sys.executable, "-c", "import sys; from secondhop.cli import main; sys.exit(main())", "run"]
GONE_SECONDS = 2.0


def alive(session: int) -> list[str]:
    """The processes of a session, by /proc: every descendant of a command that began one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, fields = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            state, _, _, its_session, *_ = fields.split()
            if int(its_session) == session and state != "Z":
                found.append(f"{name}) {state}")
    return found


def namespaces(session: int | None = None) -> set[str]:
    """The user, network and pid namespaces that processes are in: all, or those of a session."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                if session in (None, os.getsid(int(entry.name))):
                    found |= {os.readlink(entry / "ns" / kind) for kind in ("user", "net", "pid")}
    return found


class Machine:
    """Where a run takes place, so that what others do at the same time does not show."""

    def __init__(self, holder: int, folder: Path) -> None:
        self._enter = ["nsenter", "-t", str(holder), "-U", "-n", "-m", "--preserve-credentials"]
        self._folder = folder

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Begin a command in a session of its own, and with no terminal."""
        return subprocess.Popen(
            [*self._enter, *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {name: str(self._folder) for name in ("TMPDIR", "XDG_RUNTIME_DIR")},
        )

    def state(self) -> tuple[str, list[Path]]:
        """What a lab could leave: links, mounts, files."""
        show = "ip -o link && cat /proc/self/mounts"
        done = subprocess.run(
            [*self._enter, "sh", "-c", show], capture_output=True, text=True, check=True
        )
        return done.stdout, list(self._folder.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A network and mounts that nobody else uses, and an empty folder for files."""
    command = ["unshare", "-rnm", "sh", "-c", "echo up; exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        yield Machine(holder.pid, tmp_path)
        holder.kill()


def killed_at(machine: Machine, moment: float, number: int) -> list[str]:
    """Start a run, end it by a signal after that many seconds; the processes and namespaces of it
    that are left two seconds later."""
    own = namespaces()
    process = machine.start(RUN)
    time.sleep(moment)
    born = namespaces(process.pid) - own
    process.send_signal(number)
    process.wait(10)
    deadline = time.monotonic() + GONE_SECONDS
    while (left := alive(process.pid) + sorted(born & namespaces())) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return left


def moments(count: int) -> Iterator[float]:
    draw = random.Random(count)
    return (draw.uniform(0.0, 0.2) for _ in range(count))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_killed_run(machine: Machine, number: int) -> None:
    before = machine.state()
    for moment in moments(5):
        assert killed_at(machine, moment, number) == []
    assert machine.state() == before


@pytest.mark.soak
def test_nothing_is_left_of_a_hundred_killed_runs(machine: Machine) -> None:
    before = machine.state()
    for moment in moments(100):
        assert killed_at(machine, moment, signal.SIGKILL) == []
    assert machine.state() == before


@pytest.mark.parametrize("victim", ["guard", "supervisor"])
def test_killing_a_part_ends_the_rest(victim: str) -> None:
    """Trap 6: each dies with its parent, also across the pid namespace."""
    with Lab() as lab:
        lab.start(reference()[0].cluster)
        status = Path(f"/proc/{lab.pid}/status").read_text()
        guard = int(next(x for x in status.splitlines() if x.startswith("PPid:")).split()[1])
        os.kill({"guard": guard, "supervisor": lab.pid}[victim], signal.SIGKILL)
        time.sleep(0.5)
        with pytest.raises(LabError, match="ended unexpectedly"):
            lab.descriptors()
        with contextlib.suppress(FileNotFoundError):
            assert Path(f"/proc/{lab.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_command_of_the_lab_does_not_outlive_it() -> None:
    """The pid namespace ends with its first process: nothing needs to be found and killed."""
    with Lab() as lab:
        lab.start(reference()[0].cluster)
        namespaces = f"--user=/proc/{lab.pid}/ns/user", f"--pid=/proc/{lab.pid}/ns/pid"
        inside = subprocess.Popen(["nsenter", *namespaces, "--preserve-credentials", "sleep", "60"])
        time.sleep(0.1)
        assert inside.poll() is None
    assert inside.wait(GONE_SECONDS) != 0


CODE = """
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to us
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.2)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
"""


@pytest.mark.parametrize("arguments", [[], ["-f", "/nothing"]], ids=["good", "bad input"])
def test_no_zombie_is_left_to_the_first_process(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *RUN, *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "none\n", done.stderr


def test_the_lab_has_a_user_of_its_own() -> None:
    uids = sandboxed(lambda: (os.getuid(), os.getpid(), Path("/proc/self/uid_map").read_text()))
    assert uids[:2] == (0, 1)
    assert uids[2].split() == ["0", str(os.getuid()), "1"]


def test_several_threads_are_no_obstacle_to_the_caller() -> None:
    """Trap 5: unshare(CLONE_NEWUSER) is refused to a process with threads; the fork has one."""
    code = """
import threading, time
threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
from secondhop.lab.doctor import examine
print(all(c.good for c in examine() if c.needed))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "True\n", done.stderr


def nested_run(*arguments: str) -> tuple[int, str, str]:
    """secondhop inside a user namespace that may create no further ones."""

    def inside() -> tuple[int, str, str]:
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        done = subprocess.run([*RUN[:-1], *arguments], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    return sandboxed(inside)


def test_a_kernel_that_refuses_still_gets_the_prediction() -> None:
    status, out, err = nested_run("run")
    assert status == 3
    assert out.splitlines()[0] == "default/traffic-test: predicted, not observed (k8s 1.36)"
    assert out.count("\nCluster ") + out.count("\nLocal ") == 4
    assert "user.max_user_namespaces" in err
    assert "Traceback" not in err


def test_a_kernel_that_refuses_says_so_in_json() -> None:
    status, out, _ = nested_run("run", "-o", "json")
    assert status == 3
    fates = [cell["predicted"]["fate"] for cell in json.loads(out)["cells"]]
    assert fates == ["delivered", "delivered", "delivered", "dropped"]


def test_doctor_names_the_limit() -> None:
    status, out, _ = nested_run("doctor")
    assert status == 3
    assert out.startswith("This machine cannot run a lab.\n")
    assert "sudo sysctl -w user.max_user_namespaces" in out


def test_doctor_finds_nothing_wrong_here() -> None:
    assert [check for check in examine() if not check.good] == []


@pytest.mark.parametrize(
    ("setting", "value", "told", "remedy"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor", "sudo secondhop run"),
        ("kernel/unprivileged_userns_clone", "0", "to root only", "sudo secondhop run"),
        ("user/max_user_namespaces", "0", "limited", "user.max_user_namespaces"),
        ("kernel/nothing", "0", "seccomp", "docker run"),
    ],
)
def test_doctor_tells_the_refusals_apart(
    tmp_path: Path, setting: str, value: str, told: str, remedy: str
) -> None:
    file = tmp_path / "sys" / setting
    file.parent.mkdir(parents=True)
    file.write_text(f"{value}\n")
    detail, advice = why_refused(refused(1), tmp_path)
    assert told in detail
    assert remedy in advice
    assert isinstance(refused(1), EnvironmentUnable)


def test_ctrl_c_is_answered_at_any_moment() -> None:
    """The terminal sends it to every process of the group. While the lab's process lives:
    before and after, Python loads and unloads, and answers in its own way."""
    for moment in moments(12):
        process = subprocess.Popen(
            RUN,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while len(alive(process.pid)) < 2 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moment / 3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=10)
        assert "Traceback" not in said
        assert process.returncode in (0, 130, -signal.SIGINT)


def test_an_interrupt_that_python_cannot_raise_is_not_lost() -> None:
    """One that hits inside a finaliser: Python would print a traceback and go on."""
    code = """
import signal, sys, time
from secondhop import cli

class Finalised:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def verb(**_):
    Finalised()
    time.sleep(10)

cli.secondhop.main = verb
sys.exit(cli.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=9, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "secondhop: interrupted; nothing is left behind\n"


def test_an_interrupt_between_hearing_and_knowing_does_not_hang() -> None:
    """The supervisor says once that it lives; who was interrupted then must not ask again."""
    sandbox = Sandbox(lambda channel: time.sleep(60))
    hello = sandbox.channel.recv

    class Interrupted:
        settimeout = sandbox.channel.settimeout
        close = sandbox.channel.close

        def recv(self, *arguments: int) -> bytes:
            hello(*arguments)
            raise KeyboardInterrupt

    sandbox.channel = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        sandbox.born()
    before = time.monotonic()
    sandbox.close()
    assert time.monotonic() - before < 10


def test_closed_standard_streams_cost_nothing() -> None:
    """As cron or a supervisor may start it: no socket of ours may get the number of one."""
    done = subprocess.run(
        ["sh", "-c", '"$@" <&- 2>&-', "sh", *RUN, "-o", "json"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["kind"] == "Experiment"


def test_a_process_limit_is_told_as_such() -> None:
    """fork() is refused: not a defect of ours, not a failure to write."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\n"
    done = subprocess.run(
        [sys.executable, "-c", limit + RUN[2], "run"],
        capture_output=True,
        text=True,
        timeout=30,
        user=54321 if os.geteuid() == 0 else None,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("secondhop: the system refuses: ")
