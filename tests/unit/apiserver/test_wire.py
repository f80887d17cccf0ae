"""What no HTTP client sends, and clients that stop sending or reading: the server over a socket."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import TypeAlias

import pytest
from serving import Served, a_cluster, over_https

from secondhop.apiserver.http import connection
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Server

from .asgi import an_app
from .helpers import config_map
from .sanity import check_server

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MAPS = "/api/v1/namespaces/default/configmaps"
EXEC = "/api/v1/namespaces/default/pods/web/exec?command=true"
_BEGINNING = 1


class Records(logging.Handler):
    """What is logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


def talk(scenario: Callable[[Served], Awaitable[None]], server: Server | None = None) -> list[str]:
    """Runs a scenario with a server; what it logs as its own failures."""
    handler = Records()
    server = server or a_cluster()

    async def main() -> None:
        async with asyncio.timeout(60), over_https(server) as served:
            await scenario(served)

    logging.getLogger().addHandler(handler)
    try:
        asyncio.run(main())
    finally:
        logging.getLogger().removeHandler(handler)
    if server._store.remembers(_BEGINNING):
        check_server(server, an_app(server), _BEGINNING)
    return handler.found


async def connected(served: Served) -> Streams:
    tls = ssl.create_default_context(cadata=served.credentials.authority)
    return await asyncio.open_connection("127.0.0.1", served.port, ssl=tls)


async def sent(served: Served, data: bytes, *, end: bool = False) -> bytes:
    """The first line that answers some bytes; empty when the server just hangs up. end: hang up
    after them, without waiting for more."""
    reader, writer = await connected(served)
    try:
        writer.write(data)
        if end:
            await asyncio.sleep(0)
            return b""
        return await asyncio.wait_for(reader.readline(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


def head(served: Served, line: str, *more: str) -> bytes:
    """The head of a request that is let in."""
    lines = (f"Host: 127.0.0.1:{served.port}", f"Authorization: Bearer {served.credentials.token}")
    return "\r\n".join([f"{line} HTTP/1.1", *lines, *more, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\r\n\r\nnonsense\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n", 421),
        (b"GET /" + b"a" * (2 << 20) + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (2 << 20) + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 400_000 + b"\r\n", 431),
    ],
    ids=range(19),
)
def test_what_is_no_request(data: bytes, code: int) -> None:
    async def scenario(served: Served) -> None:
        assert (await sent(served, data)).split(b" ")[1] == str(code).encode()

    assert talk(scenario) == []


def spoiled(served: Served, random: Random) -> Iterator[bytes]:
    """Requests with bytes missing, doubled, changed, or of another length than they say."""
    body = json.dumps(config_map("one")).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body)))
    length, chunked = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
    socket = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
              "Sec-WebSocket-Protocol: v5.channel.k8s.io")  # fmt: skip
    whole = (
        head(served, f"POST {MAPS}", length) + body,
        head(served, f"POST {MAPS}", chunked) + chunks + b"0\r\n\r\n",
        head(served, f"POST {MAPS}", chunked) + b"fffffffffffffffff\r\n",
        head(served, f"POST {MAPS}", chunked, length) + body,
        head(served, f"GET {EXEC}", *socket) + b"\x82\x80\0\0\0\0" + b"\xff" * 20,
        head(served, f"GET {MAPS}", *socket),
        head(served, f"GET {MAPS}?watch=1&timeoutSeconds=1", "Accept: */*"),
        head(served, "GET /version") * 3,
    )
    while True:
        data = bytearray(random.choice(whole))
        for _ in range(random.randrange(3)):
            n = random.randrange(len(data))
            match random.randrange(4):
                case 0:
                    del data[n:]
                    data += b"\r\n"
                case 1:
                    del data[n : n + random.randrange(1, 40)]
                case 2:
                    data[n:n] = random.randbytes(random.randrange(1, 9))
                case 3:
                    data[n] = random.randrange(256)
            data = data or bytearray(b"\n")
        yield bytes(data)


def _campaign(seed: int, number: int) -> None:
    random = Random(seed)
    server = a_cluster()
    spec = {"containers": [{"name": "c", "image": "i"}]}
    server.create(KINDS["Pod"], {"metadata": {"name": "web"}, "spec": spec}, "default")

    async def one(served: Served, data: bytes) -> None:
        """Half of the clients wait a moment for an answer; nobody waits for one that may not
        come."""
        _, writer = await connected(served)
        writer.write(data)
        if random.randrange(2):
            writer.write_eof() if writer.can_write_eof() else None
        await asyncio.sleep(0.002 * random.randrange(2))
        writer.transport.abort()

    async def scenario(served: Served) -> None:
        requests = spoiled(served, random)
        for _ in range(number // 10):
            await asyncio.gather(*(one(served, next(requests)) for _ in range(10)))
        assert (await sent(served, head(served, "GET /version"))).startswith(b"HTTP/1.1 200")

    assert talk(scenario, server) == []


def test_spoiled_bytes() -> None:
    _campaign(0, 300)


@pytest.mark.soak
def test_many_spoiled_bytes() -> None:
    _campaign(1, 10_000)


@pytest.mark.parametrize("trailer", [b"A: b\r\n" * 400_000, b"A: " + b"b" * (2 << 20)])
def test_what_follows_a_body_is_bounded(trailer: bytes) -> None:
    async def scenario(served: Served) -> None:
        start = head(served, f"POST {MAPS}", "Transfer-Encoding: chunked")
        assert b" 431 " in await sent(served, start + b"2\r\n{}\r\n0\r\n" + trailer)

    assert talk(scenario) == []


def test_a_body_of_more_than_three_megabytes() -> None:
    async def scenario(served: Served) -> None:
        start = head(served, f"POST {MAPS}", "Transfer-Encoding: chunked")
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        assert b" 413 " in await sent(served, start + chunk * 4)

    assert talk(scenario) == []


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_a_request_that_does_not_go_on_is_cut_off(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)

    async def scenario(served: Served) -> None:
        assert await sent(served, begun) == b""

    assert talk(scenario) == []


def test_a_watcher_that_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """First its queue, which holds no more than the history does; then its connection."""
    monkeypatch.setattr(connection, "TAKE_SECONDS", 0.1)
    cut, lost = asyncio.Event(), connection.Connection.connection_lost

    def connection_lost(self: connection.Connection, error: Exception | None) -> None:
        cut.set()
        lost(self, error)

    monkeypatch.setattr(connection.Connection, "connection_lost", connection_lost)
    server = a_cluster(history=64)
    kind, store = KINDS["ConfigMap"], server._store
    server.create(kind, config_map("one"), "default")

    async def scenario(served: Served) -> None:
        reader, writer = await connected(served)
        writer.write(head(served, f"GET {MAPS}?watch=1&resourceVersion={store.revision}"))
        assert b" 200 " in await reader.readline()
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        while not store._watches.get(kind.resource):
            await asyncio.sleep(0.001)
        (watch,) = store._watches[kind.resource]
        for n in range(4000):  # more than the sockets' buffers take
            patch = {"data": {"a": f"{n} " + "x" * 10_000}}
            server.patch(kind, "one", patch, "default", "merge")
            assert len(watch._pending) <= 64
            await asyncio.sleep(0)
        assert not store._watches[kind.resource]
        await cut.wait()
        writer.transport.abort()

    assert talk(scenario, server) == []
