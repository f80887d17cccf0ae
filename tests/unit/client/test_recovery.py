"""An informer at an API that misbehaves: it recovers by itself, and does not hammer."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from secondhop.client import informer, url
from secondhop.client.api import Event, Listing
from secondhop.client.informer import Informer
from secondhop.client.kubeconfig import Access
from secondhop.client.url import UrlApi
from secondhop.errors import ApiError

RESOURCE = {"resource": "configmaps", "scope": "Namespaced", "responseKind": {"kind": "ConfigMap"}}
GROUP = {"metadata": {}, "versions": [{"version": "v1", "resources": [RESOURCE]}]}
DISCOVERY = {"kind": "APIGroupDiscoveryList", "items": [GROUP]}
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}


def a_map(name: str, revision: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(revision)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def added(name: str, revision: int) -> bytes:
    return json.dumps({"type": "ADDED", "object": a_map(name, revision)}).encode() + b"\n"


class StandIn:
    """A server that answers a list or a watch as its script says, then as it should. Each list has
    one object more; the last watch tells of `last`."""

    def __init__(self, script: list[str], fails: str) -> None:
        self.script, self._fails = script, fails
        self.lists = self.watches = self._revision = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                await self._answer(line.split()[1].decode(), writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path in ("/api", "/apis"):
            self._whole(writer, 200, DISCOVERY if path == "/api" else DISCOVERY | {"items": []})
            return
        what = "watch" if "watch=" in path else "list"
        self.lists += what == "list"
        self.watches += what == "watch"
        if self.script and what == self._fails:
            await getattr(self, f"_{self.script.pop(0)}")(writer)
        elif what == "list":
            self._revision += 1
            items = [a_map(f"n{n}", n) for n in range(self._revision)]
            head = {"resourceVersion": str(self._revision)}
            self._whole(writer, 200, {"apiVersion": "v1", "metadata": head, "items": items})
        else:
            self._begin(writer)
            self._piece(writer, added("last", 99))
            await writer.drain()
            await asyncio.sleep(60)

    def _whole(self, writer: asyncio.StreamWriter, code: int, value: object) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {code} x\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

    def _piece(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    # What goes wrong.

    async def _gone(self, writer: asyncio.StreamWriter) -> None:
        self._whole(writer, 410, GONE)

    async def _gone_later(self, writer: asyncio.StreamWriter) -> None:
        self._begin(writer)
        self._piece(writer, added("early", 50))
        self._piece(writer, json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n")
        self._piece(writer, b"")

    async def _busy(self, writer: asyncio.StreamWriter) -> None:
        self._whole(writer, 429, "Too many requests, please try again later.")

    async def _broken(self, writer: asyncio.StreamWriter) -> None:
        self._whole(writer, 500, {"kind": "Status", "message": "etcdserver: leader changed"})

    async def _reset(self, writer: asyncio.StreamWriter) -> None:
        self._begin(writer)
        self._piece(writer, added("early", 50)[:30])
        await writer.drain()
        raise ConnectionResetError

    async def _dropped(self, writer: asyncio.StreamWriter) -> None:
        raise ConnectionResetError

    async def _ended(self, writer: asyncio.StreamWriter) -> None:
        self._begin(writer)
        self._piece(writer, b"")

    async def _halved(self, writer: asyncio.StreamWriter) -> None:
        self._begin(writer)
        self._piece(writer, added("early", 50)[:30])
        self._piece(writer, b"")

    async def _foreign(self, writer: asyncio.StreamWriter) -> None:
        self._begin(writer)
        self._piece(writer, b"<html>please log in</html>\n")
        self._piece(writer, b"")

    async def _odd(self, writer: asyncio.StreamWriter) -> None:
        self._whole(writer, 200, {"type": "ADDED", "object": ["a"], "items": 1})

    async def _silent(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)


WRONG = ("gone", "gone_later", "busy", "broken", "reset", "dropped", "ended", "halved", "foreign",
         "odd", "silent")  # fmt: skip


@pytest.mark.parametrize("fails", ["list", "watch"])
@pytest.mark.parametrize("wrong", WRONG)
def test_it_recovers(wrong: str, fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(url, "_PATIENCE", 0.1)
    monkeypatch.setattr(url, "WATCH_SECONDS", 0.1)
    seen = asyncio.run(asyncio.wait_for(_recovered([wrong] * 3, fails), 20))
    assert seen.lists == 4
    assert seen.watches == (4 if fails == "watch" else 1)


async def _recovered(script: list[str], fails: str) -> StandIn:
    """The stand-in once an informer has seen its last object."""
    stand_in, done = StandIn(script, fails), asyncio.Event()
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def changed(key: informer.Key, _: object, after: object) -> None:
        if key[1] == "last" and after:
            done.set()

    async with UrlApi(Access(f"http://127.0.0.1:{port}", None, "")) as api:
        cache = Informer(api, "ConfigMap", changed)
        task = asyncio.create_task(cache.run())
        await done.wait()
        known = {key[1] for key in cache.objects}
        assert known == {"last", *(f"n{n}" for n in range(4 if fails == "watch" else 1))}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    server.close()
    return stand_in


class Refusing:
    """An API that refuses, or lists and then ends the watch at once; every tenth watch tells."""

    def __init__(self, listed: bool) -> None:
        self._listed, self.asked = listed, 0

    async def list(self, *_: object, **__: object) -> Listing:
        self.asked += 1
        if not self._listed:
            raise ApiError(410, "Expired", "too old")
        return Listing([], "1")

    async def watch(self, *_: object, **__: object) -> Any:
        if self.asked % 10 == 0:
            yield Event("BOOKMARK", {})


@pytest.mark.parametrize("listed", [False, True])
def test_it_asks_the_less_the_less_it_is_told(
    listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    api = Refusing(listed)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)
        if len(pauses) == 15:
            raise asyncio.CancelledError

    monkeypatch.setattr(informer, "asyncio", SimpleNamespace(Event=asyncio.Event, sleep=sleep))

    async def main() -> None:
        await Informer(api, "ConfigMap").run()  # type: ignore[arg-type]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    growing = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    after = growing[:6] if listed else [5.0] * 6
    assert pauses == [*growing, *after]
    assert api.asked == 15
