"""Programs of this machine in pods: what they see, how they end, what they cannot reach."""

import asyncio
import errno
import os
import re
import signal
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from support import sandboxed

from secondhop.lab import linux
from secondhop.lab.container import Home
from secondhop.lab.environment import PATH
from secondhop.lab.execution import Execution
from secondhop.lab.netns import Namespace
from secondhop.lab.program_container import ProgramContainer
from secondhop.lab.rtnetlink import Netlink


def run(body: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **named: Any) -> Any:
    return sandboxed(lambda: asyncio.run(body(*arguments, **named)))


def home() -> Home:
    netlink, own = Netlink(Namespace.create("pod")), [ip_address("10.42.1.2")]
    return Home(netlink, "web-0", own, "xjp1", {}, shared=False)


async def began(command: Sequence[str], **environ: str) -> ProgramContainer:
    return await ProgramContainer.begin(home(), command, {"PATH": PATH, **environ}, "/")


async def said(command: Sequence[str], **environ: str) -> tuple[int, str]:
    """Exit status, and what it wrote."""
    container = await began(command, **environ)
    status = await asyncio.wait_for(container.wait(), 10)
    return status, await written(container)


async def written(container: ProgramContainer) -> str:
    from secondhop.apiserver.agent import LogOptions

    pieces = [piece async for piece in container.log.read(LogOptions(follow=True))]
    return b"".join(pieces).decode()


def test_a_program_has_a_hostname_addresses_and_processes_of_its_own() -> None:
    script = "hostname; cat /etc/hosts; echo pid $$; ls -d /proc/[0-9]*"
    status, text = run(said, ["sh", "-c", script])
    assert status == 0
    lines = text.splitlines()
    assert lines[0] == "web-0"
    assert "10.42.1.2\tweb-0" in lines
    assert "pid 1" in lines
    assert {line for line in lines if line.startswith("/proc/")} <= {
        "/proc/1",
        "/proc/2",
        "/proc/3",
    }


@pytest.mark.parametrize(
    "secret", ["/etc/shadow", "/etc/ssl/private", "/root/.ssh", "/home", "/run", "/tmp", "/var/lib"]
)
def test_the_hosts_secrets_stay_outside(secret: str) -> None:
    assert run(said, ["sh", "-c", f"ls -A {secret} 2>/dev/null; exit 0"]) == (0, "")


def test_a_program_has_its_streams_open_and_nothing_else() -> None:
    """A library's socket, say, in the network of a node."""

    async def beside_open_ones() -> tuple[int, str]:
        for _ in range(3):
            os.set_inheritable(os.open("/", os.O_RDONLY), True)
        return await said(["ls", "/proc/self/fd"])

    assert run(beside_open_ones) == (0, "0\n1\n2\n3\n")  # the last is the folder it lists


def test_nothing_of_the_host_can_be_written(tmp_path: Path) -> None:
    status, text = run(said, ["sh", "-c", "touch /usr/bin/x || touch /etc/services || exit 7"])
    assert status == 7
    refused = re.compile("Read-only file system|Permission denied")  # the latter: also not root's
    assert len(refused.findall(text)) == 2
    assert run(said, ["sh", "-c", f"ls {tmp_path}"])[0] != 0


def test_the_pods_own_places_can_be_written() -> None:
    script = "for d in /tmp /run /root /home /var/log /dev/shm; do touch $d/x || exit 1; done"
    assert run(said, ["sh", "-c", script]) == (0, "")


def test_the_environment_is_the_given_one() -> None:
    assert run(said, ["env"], GREETING="hi") == (0, f"PATH={PATH}\nGREETING=hi\n")


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("kill -9 $$; sleep 9 & wait", 0), ("", 0)]
)
def test_the_exit_status_is_the_programs(script: str, status: int) -> None:
    if script.startswith("kill"):
        script = "sh -c 'kill -9 $$'; test $? = 137"
    assert run(said, ["sh", "-c", script])[0] == status


def test_a_program_that_is_not_there_is_told_of() -> None:
    async def body() -> str:
        with pytest.raises(FileNotFoundError) as told:
            await began(["nosuch"])
        return str(told.value.filename)

    assert run(body) == "nosuch"


def test_the_first_process_gets_only_signals_that_it_handles() -> None:
    """As in any container: pid 1 of a pid namespace has no default action."""

    async def body() -> tuple[bool, int]:
        container = await began(["sleep", "60"])
        container.signal(signal.SIGTERM)
        done, _ = await asyncio.wait({asyncio.create_task(container.wait())}, timeout=0.2)
        container.signal(signal.SIGKILL)
        return bool(done), await container.wait()

    assert run(body) == (False, 137)


def test_a_handled_signal_ends_it_gracefully() -> None:
    async def body() -> tuple[int, str]:
        script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"
        container = await began(["sh", "-c", script])
        while not container.log._lines:
            await asyncio.sleep(0.01)
        container.signal(signal.SIGTERM)
        return await container.wait(), await written(container)

    assert run(body) == (0, "up\nbye\n")


def test_the_children_end_with_the_first_process() -> None:
    """The pipe of the log closes only when every writer has gone."""

    async def body() -> str:
        container = await began(["sh", "-c", "sleep 600 & echo up; wait"])
        while not container.log._lines:
            await asyncio.sleep(0.01)
        container.signal(signal.SIGKILL)
        return await asyncio.wait_for(written(container), 5)

    assert run(body) == "up\n"


async def executed(
    container: ProgramContainer,
    command: Sequence[str],
    given: bytes | None = None,
    tty: bool = False,
) -> tuple[int, dict[int, bytes]]:
    execution = await Execution.begin(
        home(), container, command, {}, stdin=given is not None, tty=tty
    )

    async def give() -> None:
        if given is not None:
            await execution.write(given)
            await execution.write(b"")

    giving = asyncio.create_task(give())
    heard = {1: b"", 2: b""}
    async for stream, data in execution.output():
        heard[stream] += data
    await giving
    return await execution.wait(), heard


def test_exec_joins_the_container() -> None:
    async def body() -> tuple[int, dict[int, bytes]]:
        container = await began(["sh", "-c", "echo kept >/tmp/mark; sleep 60"])
        await asyncio.sleep(0.1)
        return await executed(
            container, ["sh", "-c", "hostname; cat /tmp/mark; echo bad >&2; exit 3"]
        )

    assert run(body) == (3, {1: b"web-0\nkept\n", 2: b"bad\n"})


def test_exec_hands_on_what_it_is_given() -> None:
    async def body() -> tuple[int, dict[int, bytes]]:
        return await executed(await began(["sleep", "60"]), ["cat"], b"x" * 300_000)

    status, heard = run(body)
    assert (status, heard[1]) == (0, b"x" * 300_000)


def test_exec_with_a_terminal_has_one() -> None:
    async def body() -> tuple[int, dict[int, bytes]]:
        return await executed(
            await began(["sleep", "60"]), ["sh", "-c", "test -t 0 && stty size"], tty=True
        )

    status, heard = run(body)
    assert (status, heard[1].split()) == (0, [b"0", b"0"])


def test_an_exec_ends_with_its_program_but_loses_nothing_of_it() -> None:
    """Its children may hold the streams open; whoever listens may be slow."""

    async def body() -> tuple[int, int, int]:
        container = await began(["sleep", "60"])
        quick, _ = await executed(container, ["sh", "-c", "sleep 60 & exit 3"])
        slow = await Execution.begin(
            home(), container, ["head", "-c", "200000", "/dev/zero"], {}, stdin=False, tty=False
        )
        length = 0
        async for _, data in slow.output():
            length += len(data)
            await asyncio.sleep(0.3)
        return quick, length, await slow.wait()

    assert run(body) == (3, 200_000, 0)


def test_input_that_nobody_reads_does_no_harm() -> None:
    async def body(tty: bool) -> None:
        container = await began(["sleep", "60"])
        deaf = await Execution.begin(home(), container, ["true"], {}, stdin=True, tty=tty)
        writing = asyncio.create_task(deaf.write(b"x" * 1_000_000))
        async for _ in deaf.output():
            pass
        await asyncio.wait_for(writing, 5)
        deaf.resize(80, 24)

    for tty in (False, True):
        run(body, tty)


def test_an_ended_container_cannot_be_joined() -> None:
    """Its descriptor may be another's by then."""

    async def body() -> None:
        container = await began(["true"])
        await container.wait()
        with pytest.raises(ProcessLookupError):
            await executed(container, ["true"])

    run(body)


def refusing(refused: str, error: OSError) -> Callable[..., None]:
    """A mount that is refused."""
    mount_new = linux.mount_new

    def mount(kind: str, where: Path, options: str = "") -> None:
        if kind == refused:
            raise error
        mount_new(kind, where, options)

    return mount


def test_where_a_new_proc_is_refused_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "mount_new", refusing("proc", PermissionError(errno.EPERM, "")))
    assert run(said, ["sh", "-c", "ls /proc; hostname"]) == (0, "web-0\n")


def test_a_machine_that_cannot_make_a_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "mount_new", refusing("tmpfs", OSError(errno.ENOSYS, "")))

    async def body() -> str:
        with pytest.raises(OSError, match="while its namespaces were made") as told:
            await began(["true"])
        return str(told.value)

    assert "Function not implemented" in run(body)


def test_killing_ends_an_exec() -> None:
    async def body() -> int:
        container = await began(["sleep", "60"])
        execution = await Execution.begin(
            home(), container, ["sleep", "60"], {}, stdin=False, tty=False
        )
        execution.kill()
        return await asyncio.wait_for(execution.wait(), 5)

    assert run(body) == 137
