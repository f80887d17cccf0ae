"""exec over a WebSocket, message by message; kubectl's own use of it is in tests/kubectl."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest
from serving import Served, a_cluster, over_https
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from secondhop.apiserver.kinds import KINDS

V4, V5 = Subprotocol("v4.channel.k8s.io"), Subprotocol("v5.channel.k8s.io")


def converse(
    scenario: Callable[[ClientConnection, Served], Awaitable[None]],
    *command: str,
    protocols: tuple[Subprotocol, ...] = (V5, V4),
) -> None:
    """Runs a scenario with a connection to a command in a pod, with stdin."""

    async def main() -> None:
        server = a_cluster()
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        server.create(KINDS["Pod"], pod, "default")
        async with asyncio.timeout(10), over_https(server) as served:
            query = urlencode({"command": command, "stdin": "true"}, doseq=True)
            path = f"api/v1/namespaces/default/pods/web/exec?{query}"
            async with connect(
                f"wss://127.0.0.1:{served.port}/{path}",
                ssl=ssl.create_default_context(cadata=served.credentials.authority),
                additional_headers={"authorization": f"Bearer {served.credentials.token}"},
                subprotocols=protocols,
            ) as socket:
                await scenario(socket, served)

    asyncio.run(main())


async def rest(socket: ClientConnection) -> dict[int, bytes]:
    """What comes on each channel until the end."""
    found: dict[int, bytes] = {}
    async for message in socket:
        assert isinstance(message, bytes)
        found[message[0]] = found.get(message[0], b"") + message[1:]
    return found


@pytest.mark.parametrize(
    ("offered", "chosen"), [((V4,), V4), ((V4, V5), V5), ((Subprotocol("x"), V4), V4)]
)
def test_the_newest_protocol_is_chosen(offered: tuple[Subprotocol, ...], chosen: str) -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        assert socket.subprotocol == chosen
        assert json.loads((await rest(socket))[3])["status"] == "Success"

    converse(scenario, "true", protocols=offered)


def test_channels_and_the_exit_status() -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        await socket.send(b"\0in\n")
        found = await rest(socket)
        assert (found[1], found[2]) == (b"in\n", b"err\n")
        status = json.loads(found[3])
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]

    converse(scenario, "sh", "-c", "head -n1; echo err >&2; exit 7")


def test_input_ends_by_the_close_signal_and_not_before() -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        await socket.send(b"\0one ")
        await socket.send(b"\0")
        await socket.send(b"\0two")
        await socket.send(b"\xff\0")
        assert (await rest(socket))[1] == b"one two"

    converse(scenario, "cat")


def test_messages_may_be_text() -> None:
    """As the official Python client sends what is typed."""

    async def scenario(socket: ClientConnection, served: Served) -> None:
        await socket.send("\0größer\n")
        assert (await rest(socket))[1] == "größer\n".encode()

    converse(scenario, "head", "-n1")


def test_a_new_size() -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        await socket.send(b'\4{"Width": 80, "Height": 24}')
        await socket.send(b"\xff\0")
        await rest(socket)
        assert served.agent.programs[0].sizes == [(80, 24)]

    converse(scenario, "cat")


@pytest.mark.parametrize(
    "message",
    [b"\4{", b"\4{}", b"\4[]", b"\4" + b"[" * 100_000, b'\4{"Width": 1e400, "Height": 1}',
     b'\4{"Width": 65536, "Height": 1}', "\4{"],
)  # fmt: skip
def test_nonsense_ends_the_program(message: bytes | str) -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        await socket.send(message)
        await rest(socket)
        assert not served.agent.programs[0].running

    converse(scenario, "sleep", "60")


@pytest.mark.parametrize("command", [(), ("a\0b",)])
def test_no_command(command: tuple[str, ...]) -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        assert json.loads((await rest(socket))[3])["reason"] == "BadRequest"

    converse(scenario, *command)


def test_input_to_a_program_that_has_closed_it() -> None:
    async def scenario(socket: ClientConnection, served: Served) -> None:
        for _ in range(20):
            await socket.send(b"\0" + bytes(30_000))
        assert json.loads((await rest(socket))[3])["status"] == "Success"

    converse(scenario, "sh", "-c", "exec <&-; sleep 0.3")


def test_the_end_of_the_server_ends_the_program() -> None:
    ended: list[Served] = []

    async def scenario(socket: ClientConnection, served: Served) -> None:
        assert await socket.recv() == b"\1on\n"
        ended.append(served)

    converse(scenario, "sh", "-c", "echo on; exec sleep 60")
    assert not ended[0].agent.programs[0].running
