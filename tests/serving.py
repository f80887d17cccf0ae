"""A server over HTTP for tests; the programs in its pods are programs of this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from secondhop.apiserver.agent import LogOptions
from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.http.app import App
from secondhop.apiserver.http.credentials import Credentials, make_credentials, server_context
from secondhop.apiserver.http.kubeconfig import kubeconfig
from secondhop.apiserver.http.serve import serving
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import HISTORY, Store
from secondhop.client.kubeconfig import Access
from secondhop.errors import ApiError

CIDR = ip_network("10.43.0.0/16")


def a_cluster(history: int = HISTORY) -> Server:
    """A server with what every cluster begins with."""
    server = Server(Store(history), [CIDR])
    bootstrap(server, CIDR)
    return server


class Program:
    """A program of this machine in the place of one in a container. Its stdin is a pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.sizes: list[tuple[int, int]] = []

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

        async def pump(channel: int, stream: asyncio.StreamReader | None) -> None:
            assert stream is not None
            while data := await stream.read(65536):
                await queue.put((channel, data))
            await queue.put((channel, b""))

        streams = enumerate((self._process.stdout, self._process.stderr), 1)
        pumps = [asyncio.create_task(pump(*each)) for each in streams]
        open_channels = len(pumps)
        while open_channels:
            channel, data = await queue.get()
            if data:
                yield channel, data
            else:
                open_channels -= 1

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        if not data:
            self._process.stdin.close()
            return
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def wait(self) -> int:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


class FakeAgent:
    """Pods whose log says what was asked for, and whose programs run here."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.programs: list[Program] = []
        self.asked: list[LogOptions] = []

    async def logs(
        self, namespace: str, name: str, container: str | None, options: LogOptions
    ) -> AsyncIterator[bytes]:
        self._pod(namespace, name, container)
        self.asked.append(options)
        lines = [b"one\n", b"two\n", b"three\n"]
        for line in lines if options.tail is None else lines[-options.tail :]:
            yield line
        if options.follow:
            await asyncio.sleep(0.05)
            yield b"four\n"

    async def execute(
        self,
        namespace: str,
        name: str,
        container: str | None,
        command: Sequence[str],
        *,
        stdin: bool,
        tty: bool,
    ) -> Program:
        self._pod(namespace, name, container)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe if stdin else null, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise ApiError(500, "InternalError", str(error)) from None
        self.programs.append(Program(process))
        return self.programs[-1]

    def _pod(self, namespace: str, name: str, container: str | None) -> None:
        pod = self._server.get(KINDS["Pod"], name, namespace)
        names = [each["name"] for each in pod["spec"]["containers"]]
        if container not in (None, *names):
            text = f"container {container} is not valid for pod {name}"
            raise ApiError(400, "BadRequest", text)


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    server: Server
    agent: FakeAgent
    credentials: Credentials
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def access(self) -> Access:
        return Access(self.url, self.credentials.authority, self.credentials.token)

    def kubeconfig(self, folder: Path) -> Path:
        path = folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(kubeconfig("test", self.url, self.credentials))
        return path


def listener() -> socket.socket:
    """A socket bound to a free port of 127.0.0.1."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    return found


@asynccontextmanager
async def over_https(server: Server) -> AsyncIterator[Served]:
    """The server over HTTPS, in the loop that runs."""
    bound = listener()
    port = bound.getsockname()[1]
    credentials, agent = make_credentials(["127.0.0.1", "localhost"]), FakeAgent(server)
    app = App(server, agent, credentials, [f"127.0.0.1:{port}", f"localhost:{port}"])
    async with serving(app, [bound], server_context(credentials)):
        yield Served(server, agent, credentials, port)


@contextmanager
def served(server: Server) -> Iterator[Served]:
    """The server over HTTPS, in a thread with a loop of its own."""
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Served] = []

    async def main() -> None:
        async with over_https(server) as one:
            found.append(one)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()
