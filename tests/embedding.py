"""A lab's embedded cluster inside a test's sandbox, and hands that reach into it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from serving import listener
from support import lab as lab_document
from support import sandboxed, world

from secondhop.apiserver.agent import LogOptions
from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import make_credentials, server_context
from secondhop.apiserver.http.serve import serving
from secondhop.client import Object
from secondhop.client.api import Deletion
from secondhop.client.kubeconfig import Access
from secondhop.client.url import UrlApi
from secondhop.controllers.loop import Settings
from secondhop.controllers.run import run as run_controllers
from secondhop.errors import ApiError
from secondhop.lab.controlplane import loopback_up
from secondhop.lab.embedded import Embedded, PodAgent
from secondhop.lab.timing import Timing
from secondhop.manifests.lab_balancer import Balancer

T = TypeVar("T")
SECONDS = 15.0
QUICK = Timing(back_off=0.1, longest_back_off=0.4, retry=0.05, renew=0.1, last=0.3)
NODES = [
    {"name": "gz1", "address": "192.168.8.1", "podCIDR": "10.42.0.0/24"},
    {"name": "xjp1", "address": "172.17.26.70", "podCIDR": "10.42.1.0/24"},
]


class Life:
    """A running embedded cluster."""

    def __init__(self, lab: Embedded) -> None:
        self.lab, self.api = lab, lab.api
        self.agent = PodAgent(lab.api, lab.kubelets)

    async def pod(self, name: str, *containers: Object, node: str = "xjp1", **spec: Any) -> None:
        """Create a pod on a node; whoami, unless containers are given."""
        spec = {"nodeName": node, "containers": list(containers) or [whoami()], **spec}
        metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
        await self.api.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        )

    async def get(self, name: str, kind: str = "Pod") -> Object:
        """An object as the API has it; without anything if it is gone."""
        try:
            return await self.api.get(kind, name, "" if kind == "Node" else "default")
        except ApiError as error:
            if error.code != 404:
                raise
            return {"status": {}}

    async def delete(self, name: str, grace: int | None = None) -> None:
        await self.api.delete("Pod", name, "default", Deletion(grace=grace))

    async def until(
        self, name: str, met: Callable[[Object], object], *, seconds: float = SECONDS
    ) -> Object:
        """A pod once it meets this."""
        try:
            async with asyncio.timeout(seconds):
                while not met(pod := await self.get(name)):
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"not met: {await self.get(name)}") from None
        return pod

    async def logs(self, name: str, container: str | None = None, **options: Any) -> str:
        pieces = self.agent.logs("default", name, container, LogOptions(**options))
        return b"".join([piece async for piece in pieces]).decode()

    async def up(self, name: str) -> None:
        """Wait until a pod's script says that it is: it has set its traps."""
        async with asyncio.timeout(SECONDS):
            await self.until(name, is_true)
            while "up\n" not in await self.logs(name):
                await asyncio.sleep(0.005)

    async def execute(self, name: str, *command: str) -> tuple[int, str]:
        """Exit status and output of a program in a pod."""
        running = await self.agent.execute("default", name, None, command, stdin=False, tty=False)
        said = b"".join([data async for _, data in running.output()])
        return await running.wait(), said.decode()

    async def fetch(
        self, address: str, port: int = 80, *, seconds: float = 2.0, source: str = "client"
    ) -> str:
        """What the outside client, or `node/NAME`, gets there. Raises OSError, TimeoutError."""
        namespace = self.lab.wiring.namespace(source)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = namespace.socket(family, socket.SOCK_STREAM)
        async with asyncio.timeout(seconds):
            with contextlib.closing(sock):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, (address, port))
                await loop.sock_sendall(sock, b"GET / HTTP/1.0\r\n\r\n")
                data = b""
                while part := await loop.sock_recv(sock, 1 << 16):
                    data += part
        if not data:
            raise ConnectionResetError("no answer")
        return data.decode()

    async def events(self) -> list[str]:
        """Reasons and messages, written so far."""
        found = (await self.api.list("Event", "default")).items
        return [f"{event['reason']}: {event['message']}" for event in found]

    async def told(self, part: str) -> None:
        """Wait for an event."""
        async with asyncio.timeout(SECONDS):
            while not any(part in event for event in await self.events()):
                await asyncio.sleep(0.01)


def living(
    body: Callable[[Life], Awaitable[T]],
    *,
    timing: Timing = QUICK,
    nodes: list[dict[str, Any]] = NODES,
    settings: Settings | None = None,
    balancer: Balancer | None = None,
    over_https: bool = False,
) -> T:
    """Run a test's body beside a cluster whose nodes are ready; the cluster must outlive it.

    over_https: kubelets, proxies, controllers and the body reach the API by a URL.
    """

    async def play() -> T:
        async with contextlib.AsyncExitStack() as stack:
            base = world(lab_document(nodes)).cluster
            if over_https:
                lab = await _over_https(
                    stack, lambda api: Embedded(base, timing, balancer, api=api)
                )
            else:
                lab = Embedded(base, timing, balancer)
            bootstrap(lab.server, base.cni.service_cidrs[0])
            return await live(lab)

    async def live(lab: Embedded) -> T:
        life = Life(lab)
        controllers = run_controllers(lab.api, settings or Settings())
        running: asyncio.Future[Any] = asyncio.gather(lab.run(), controllers)
        acting: asyncio.Future[T] = asyncio.ensure_future(_acted(life, body, len(nodes)))
        both: list[asyncio.Future[Any]] = [running, acting]
        await asyncio.wait(both, return_when="FIRST_COMPLETED")
        if running.done():
            acting.cancel()
            await running
        result = await acting
        assert not running.done(), "the lab has ended"
        return result

    return sandboxed(lambda: asyncio.run(play()))


async def _over_https(
    stack: contextlib.AsyncExitStack, make: Callable[[UrlApi], Embedded]
) -> Embedded:
    """A cluster whose parts are clients of its own server."""
    loopback_up()
    bound = listener()
    port = bound.getsockname()[1]
    credentials = make_credentials(["127.0.0.1"])
    access = Access(f"https://127.0.0.1:{port}", credentials.authority, credentials.token)
    api = await stack.enter_async_context(UrlApi(access))
    lab = make(api)
    app = App(lab.server, PodAgent(api, lab.kubelets), credentials, [f"127.0.0.1:{port}"])
    await stack.enter_async_context(serving(app, [bound], server_context(credentials)))
    return lab


async def _acted(life: Life, body: Callable[[Life], Awaitable[T]], nodes: int) -> T:
    async with asyncio.timeout(SECONDS):
        while sum([is_true(n) for n in (await life.api.list("Node")).items]) < nodes:
            await asyncio.sleep(0.01)
    return await body(life)


def is_true(value: Object, condition: str = "Ready") -> bool:
    """Whether that condition is True."""
    conditions = value.get("status", {}).get("conditions", ())
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)


def gone(pod: Object) -> bool:
    """Whether the API knows it no longer."""
    return "metadata" not in pod


def container(pod: Object, name: str = "main") -> Object:
    """The status of a container; empty before there is one."""
    status = pod["status"]
    told = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next((each for each in told if each["name"] == name), {})


def state(pod: Object, name: str = "main") -> str:
    """Why it waits or how it ended; `running` if it runs."""
    found = container(pod, name).get("state", {})
    kind = next(iter(found), "")
    return str(found[kind].get("reason", kind)) if kind else ""


def restarts(pod: Object, name: str = "main") -> int:
    return int(container(pod, name).get("restartCount", 0))


def whoami(name: str = "main", *args: str, **fields: Any) -> Object:
    """A container of whoami."""
    return {"name": name, "image": "traefik/whoami", "args": list(args), **fields}


def shell(script: str, name: str = "main", **fields: Any) -> Object:
    """A container that is a shell script."""
    return {"name": name, "image": "any", "command": ["sh", "-c", script], **fields}
