"""What holds of a server whatever was asked of it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from secondhop.apiserver.defaults import default
from secondhop.apiserver.http.app import App
from secondhop.apiserver.kinds import KINDS, Kind
from secondhop.apiserver.schema import decode
from secondhop.apiserver.server import Server

from .asgi import Asked, Reply, ask

Object = dict[str, Any]
_TABLE = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
_OWN_TROUBLE = (
    "Too large resource version",
    "resourceVersion should not be set on objects to be created",
    "range is full",
    "duplicate nodePort",
    "failed to allocate requested HealthCheck NodePort",
)
"""What a real server answers with 500 (semantics §1.5), and with 504."""


def check_reply(asked: Asked, reply: Reply) -> None:
    """No failure of the server's own, and of every refusal a Status tells."""
    if reply.code >= 500:
        assert any(each in reply.json["message"] for each in _OWN_TROUBLE), reply
    if reply.code >= 400 and asked.method != "HEAD":
        said = reply.json
        found = said["kind"], said["apiVersion"], said["status"], said["code"]
        assert found == ("Status", "v1", "Failure", reply.code)
        assert said["message"]
    if "json" in reply.headers.get("content-type", "") and not _streams(reply):
        json.loads(reply.body)


def _streams(reply: Reply) -> bool:
    return "content-length" not in reply.headers


def check_server(server: Server, app: App, since: int) -> None:
    """The store, its history, what is allocated, and every view of every object. since: a revision
    at which the store was empty."""
    _check_history(server, since)
    _check_allocations(server)
    asyncio.run(_check_views(server, app))


def _check_history(server: Server, since: int) -> None:
    """Each kind's watch, from the beginning, ends at its list."""
    for kind in KINDS.values():
        replayed: dict[tuple[str, str], Object] = {}
        last = since
        for event, value in asyncio.run(_events(server, kind.kind, since)):
            metadata = value["metadata"]
            revision, key = int(metadata["resourceVersion"]), _key(value)
            assert revision > last
            assert (event == "ADDED") == (key not in replayed)
            last = revision
            replayed[key] = value
            if event == "DELETED":
                del replayed[key]
        listed = {_key(value): value for value in server.list(kind).items}
        assert listed == replayed


async def _events(server: Server, kind: str, since: int) -> list[tuple[str, Object]]:
    found: list[tuple[str, Object]] = []
    watch = server.watch(KINDS[kind], since=str(since), bookmark_seconds=0)
    async for event in watch:
        if event.type == "BOOKMARK":
            break
        found.append((event.type, event.object))
    await watch.aclose()
    return found


def _key(value: Object) -> tuple[str, str]:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def _check_allocations(server: Server) -> None:
    """What the Services have is theirs alone, and all that is taken."""
    ports: Counter[int] = Counter()
    ips: Counter[str] = Counter()
    for service in server.list(KINDS["Service"]).items:
        spec = service["spec"]
        own = {port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
        ports.update({*own, spec.get("healthCheckNodePort", 0)} - {0})
        ips.update(ip for ip in spec.get("clusterIPs", ()) if ip != "None")
    assert not ports or max(ports.values()) == 1, ports
    assert not ips or max(ips.values()) == 1, ips
    stock = server._services._allocator._stock
    assert stock.ports._taken == set(ports)
    assert {str(ip) for pool in stock.pools for ip in pool._taken} == set(ips)


async def _check_views(server: Server, app: App) -> None:
    """Objects are as their schema and defaults have them; who puts one back as it was read changes
    nothing; and all can be printed."""
    for kind in KINDS.values():
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        table = await ask(app, Asked("GET", f"{root}/{kind.plural}", headers=(_TABLE,)))
        assert table.code == 200, table
        values = server.list(kind).items
        assert _pages(server, kind) == values
        for value in values:
            assert decode(kind.definition, value).unknown == []
            assert default(kind, copy.deepcopy(value)) == value
            space, name = _key(value)
            place = "/".join([root, *(["namespaces", space] if space else ()), kind.plural, name])
            for asked in _no_changes(place, value) if "update" in kind.verbs else ():
                reply = await ask(app, asked)
                assert (reply.code, reply.json) == (200, value), (asked, reply)
    assert not any(server._store._watches.values())


def _pages(server: Server, kind: Kind) -> list[Object]:
    """A list, two objects at a time."""
    page = server.list(kind, limit=2)
    found = [*page.items]
    while page.token:
        page = server.list(kind, limit=2, token=page.token)
        found += page.items
    return found


def _no_changes(place: str, value: Object) -> Iterator[Asked]:
    yield Asked("PUT", place, body=json.dumps(value).encode())
    for form in "merge", "strategic-merge":
        media = (("content-type", f"application/{form}-patch+json"),)
        yield Asked("PATCH", place, headers=media, body=b"{}")
