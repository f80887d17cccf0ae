#!/usr/bin/env python3
"""The lab's API over HTTPS: from nothing to its first answer, requests a second, watches told, and
what thousands of objects that come and go leave behind.

A client in a process of its own asks a server that has one core, as it does in a lab. Writes
nothing; docs/benchmarks.md keeps the figures worth keeping. Run it by `make bench`.
"""

import asyncio
import json
import socket
import ssl
import statistics
import subprocess
import sys
import time
from ipaddress import ip_network

from secondhop.client.kubeconfig import Access

STARTS, PODS, REQUESTS, CHANGES = 15, 50, 1000, 500
WATCHERS = (1, 10, 50)
COMING, AT_A_TIME = 20_000, 8
_EVENT = b'"type":"MODIFIED"'


def serve() -> None:
    """A server with some pods, until stdin ends; its access goes to stdout."""
    from served import served

    from secondhop.apiserver.kinds import KINDS

    async def main() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        async with served([listener], ip_network("10.43.0.0/16")) as (server, credentials):
            for number in range(PODS):
                server.create(KINDS["Pod"], pod(f"pod-{number}"), "default")
            access = [f"https://{host}", credentials.authority, credentials.token]
            print(json.dumps(access), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(main())


def pod(name: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "whoami", "image": "traefik/whoami"}]},
    }


def started() -> tuple[subprocess.Popen[str], Access]:
    """A server in a process of its own."""
    pipe = subprocess.PIPE
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    return process, Access(*json.loads(process.stdout.readline()))


def ended(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=10)


class Client:
    """One connection, with as little of a client as there can be: the server is timed."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def __aenter__(self) -> "Client":
        host, port = self._access.server.removeprefix("https://").split(":")
        tls = ssl.create_default_context(cadata=self._access.authority)
        self.reader, self._writer = await asyncio.open_connection(host, int(port), ssl=tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def send(self, method: str, path: str, media: str = "", body: str = "") -> None:
        host = self._access.server.removeprefix("https://")
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media}\r\n"
        head += f"Authorization: Bearer {self._access.token}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}\r\n{body}".encode())

    async def ask(self, method: str, path: str, media: str = "", body: str = "") -> bytes:
        self.send(method, path, media, body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 2"), head
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return await self.reader.readexactly(int(length))


async def first_answer(access: Access) -> None:
    async with Client(access) as client:
        await client.ask("GET", "/readyz")


async def requests_a_second(access: Access, path: str) -> tuple[float, int]:
    """Eight connections; and the bytes of an answer."""

    async def some() -> int:
        async with Client(access) as client:
            for _ in range(REQUESTS // 8):
                answer = await client.ask("GET", path)
            return len(answer)

    start = time.perf_counter()
    sizes = await asyncio.gather(*(some() for _ in range(8)))
    return REQUESTS / (time.perf_counter() - start), sizes[0]


async def events_a_second(access: Access, watchers: int) -> float:
    """Changes of one object, told to so many watches, until the last has seen the last."""
    maps, name = "/api/v1/namespaces/default/configmaps", f"told-{watchers}"

    async def watch(watching: asyncio.Semaphore) -> None:
        async with Client(access) as client:
            query = f"watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={since}"
            client.send("GET", f"{maps}?{query}")
            await client.reader.readuntil(b"\r\n\r\n")
            watching.release()
            seen, tail = 0, b""
            while seen < CHANGES:
                data = tail + await client.reader.read(1 << 20)
                seen += data.count(_EVENT)
                tail = data[-len(_EVENT) + 1 :]

    async with Client(access) as client:
        body = json.dumps({"metadata": {"name": name}})
        made = json.loads(await client.ask("POST", maps, "application/json", body))
        since = made["metadata"]["resourceVersion"]
        watching = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(watch(watching)) for _ in range(watchers)]
        for _ in tasks:
            await watching.acquire()
        start = time.perf_counter()
        for number in range(CHANGES):
            body = json.dumps({"data": {"n": str(number)}})
            await client.ask("PATCH", f"{maps}/{name}", "application/merge-patch+json", body)
        await asyncio.gather(*tasks)
        return watchers * CHANGES / (time.perf_counter() - start)


async def objects_a_second(access: Access, number: int) -> float:
    """Pods made and deleted, while one watch is told and another never reads what it is told."""
    pods = "/api/v1/namespaces/default/pods"

    async def some(part: int) -> None:
        async with Client(access) as client:
            for n in range(number // AT_A_TIME):
                name = f"coming-{part}-{n}"
                await client.ask("POST", pods, "application/json", json.dumps(pod(name)))
                await client.ask("DELETE", f"{pods}/{name}")

    async def watch() -> None:
        while await watching.reader.read(1 << 20):
            pass

    async with Client(access) as watching, Client(access) as idle:
        watching.send("GET", f"{pods}?watch=1")
        idle.send("GET", f"{pods}?watch=1")
        idle.reader._transport.pause_reading()  # type: ignore[attr-defined]
        told = asyncio.create_task(watch())
        start = time.perf_counter()
        await asyncio.gather(*map(some, range(AT_A_TIME)))
        rate = number / (time.perf_counter() - start)
        told.cancel()
        return rate


def resident(pid: int) -> float:
    """MiB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / (1 << 20)


def main() -> None:
    times = []
    for _ in range(STARTS):
        start = time.perf_counter()
        process, access = started()
        asyncio.run(first_answer(access))
        times.append((time.perf_counter() - start) * 1000)
        ended(process)
    low, high = min(times), max(times)
    print(f"start to first answer {statistics.median(times):7.0f} ms   {low:.0f} to {high:.0f} ms")
    process, access = started()
    for path in "/api/v1/namespaces", "/api/v1/pods?limit=10", "/api/v1/pods":
        rate, size = asyncio.run(requests_a_second(access, path))
        print(f"GET {path:22}{rate:7.0f} requests/s of {size} bytes")
    for watchers in WATCHERS:
        rate = asyncio.run(events_a_second(access, watchers))
        print(f"{watchers:3} watches told      {rate:9.0f} events/s")
    before = resident(process.pid)
    asyncio.run(objects_a_second(access, COMING // 4))
    quarter = resident(process.pid)
    rate = asyncio.run(objects_a_second(access, COMING))
    after = resident(process.pid)
    print(f"{COMING} Pods come and go {rate:5.0f} objects/s, two writes each")
    print(
        f"resident          {before:.0f} MiB, after {COMING // 4}: {quarter:.0f}, then {after:.0f}"
    )
    ended(process)


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else main()
