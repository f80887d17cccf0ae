"""Connections to servers on loopback, and what is made of each."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address

import pytest

from secondhop.live.dialling import Dialler, own_address
from secondhop.live.telling import known
from secondhop.model.fate import Fate, Seen
from secondhop.model.flow import Destination, Flow, Source

LOOPBACK = ip_address("127.0.0.1")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PAGE = b"Hostname: web-0\nRemoteAddr: 192.0.2.9:1\n"


def to(port: int) -> Flow:
    here = Source("client", "client", LOOPBACK)
    return Flow(here, Destination("nodePort", LOOPBACK, port, "TCP", "n0"))


@contextlib.asynccontextmanager
async def serving(answer: bytes | None) -> AsyncIterator[int]:
    """A server that says this to every request, or hangs up at once; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n" + PAGE[:5] + b"\r\n%x\r\n" % (len(PAGE) - 5) + PAGE[5:] + b"\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
def test_who_answers_and_whom_it_saw(answer: bytes) -> None:
    async def main() -> None:
        async with serving(answer) as port:
            tried = await Dialler(5, known).observe(to(port), "n0", 3)
        seen = tried.observed
        assert (seen.fate, seen.attempts, tried.status) == (Fate.DELIVERED, 3, 200)
        assert tried.page == PAGE.decode()
        assert seen.seen == {Seen("web-0", "192.0.2.9"): 3}
        assert len(seen.connect_ms) == 3
        assert seen.evidence == ""

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [None, b"220 mail.example ESMTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"],
)
def test_what_speaks_something_else_is_delivered_all_the_same(answer: bytes | None) -> None:
    async def main() -> None:
        async with serving(answer) as port:
            seen = (await Dialler(5, known).observe(to(port), "n0", 1)).observed
        assert (seen.fate, seen.seen) == (Fate.DELIVERED, {})
        assert "no HTTP reply" in seen.evidence

    asyncio.run(main())


def test_a_port_that_nobody_has_is_closed_and_answers() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

        async def main() -> None:
            dialler = Dialler(5, known)
            tried = await dialler.observe(to(port), "n0", 2)
            assert (tried.observed.fate, tried.status) == (Fate.CLOSED, None)
            assert "2 of 2: RST" in tried.observed.evidence
            assert await dialler.answer(LOOPBACK, port) == "refused"

        asyncio.run(main())


def test_silence_is_waited_for() -> None:
    """A full backlog drops SYNs, as a rule would."""
    with socket.socket() as sock, contextlib.ExitStack() as stack:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        port = sock.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))

        async def main() -> None:
            dialler = Dialler(0.2, known)
            seen = (await dialler.observe(to(port), "n0", 2)).observed
            assert (seen.fate, seen.evidence) == (Fate.DROPPED, "2 of 2: no answer in 0.2 s")
            assert await dialler.answer(LOOPBACK, port) == "silent"

        asyncio.run(main())


def test_the_own_address_is_the_one_to_send_from() -> None:
    assert own_address(ip_address("127.0.0.2")) == LOOPBACK
