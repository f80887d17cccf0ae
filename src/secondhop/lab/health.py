"""Probes of containers: startup, readiness, liveness, as a kubelet runs them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from .container import Container, Home
from .execution import Execution
from .netns import Namespace

_OK = range(200, 400)
_HEAD_BYTES = 64


class Watcher:
    """Runs one probe for as long as its container lives, and says when its answer turns.

    changed: called with the new answer once the threshold is reached; before that a readiness or
    startup probe counts as failed, a liveness probe as passed.
    """

    def __init__(
        self,
        probe: Mapping[str, Any],
        check: Callable[[Mapping[str, Any]], Awaitable[str]],
        changed: Callable[[bool, str], None],
        *,
        passing: bool,
    ) -> None:
        self._probe, self._check, self._changed = probe, check, changed
        self._passing = passing
        self._streak = 0

    async def run(self) -> None:
        """Probe until cancelled."""
        probe = self._probe
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        while True:
            failure = await self._once()
            self._count(not failure, failure)
            await asyncio.sleep(probe.get("periodSeconds") or 10)

    async def _once(self) -> str:
        """Why the probe failed; empty when it passed."""
        seconds = self._probe.get("timeoutSeconds") or 1
        try:
            async with asyncio.timeout(seconds):
                return await self._check(self._probe)
        except TimeoutError:
            return f"no answer in {seconds} s"
        except (OSError, ValueError) as error:
            return str(error)

    def _count(self, passed: bool, failure: str) -> None:
        if passed == self._passing:
            self._streak = 0
            return
        self._streak += 1
        usual = ("successThreshold", 1) if passed else ("failureThreshold", 3)
        if self._streak >= (self._probe.get(usual[0]) or usual[1]):
            self._passing, self._streak = passed, 0
            self._changed(passed, failure)


class Target(NamedTuple):
    """What is probed. node: where the probe is sent from. spec: the container's."""

    home: Home
    node: Namespace
    container: Container
    spec: Mapping[str, Any]


class Vitals:
    """What the probes of a running container find; without probes, what they would.

    changed: something is to be told. unhealthy: (which probe, why). dead: it must be restarted.
    """

    def __init__(
        self,
        target: Target,
        changed: Callable[[], None],
        unhealthy: Callable[[str, str], None],
        dead: Callable[[], None],
    ) -> None:
        self.started = self.ready = False
        self._target = target
        self._changed, self._unhealthy, self._dead = changed, unhealthy, dead

    async def run(self) -> None:
        """Probe until cancelled."""
        spec = self._target.spec
        if probe := spec.get("startupProbe"):
            seconds = (probe.get("failureThreshold") or 3) * (probe.get("periodSeconds") or 10)
            try:
                async with asyncio.timeout((probe.get("initialDelaySeconds") or 0) + seconds):
                    await self._passed(probe)
            except TimeoutError:
                self._unhealthy("Startup", "it did not pass in time")
                self._dead()
                return
        self.started, self.ready = True, "readinessProbe" not in spec
        self._changed()
        watchers = []
        if probe := spec.get("readinessProbe"):
            watchers.append(Watcher(probe, self._ask, self._readiness, passing=False))
        if probe := spec.get("livenessProbe"):
            watchers.append(Watcher(probe, self._ask, self._liveness, passing=True))
        await asyncio.gather(*(watcher.run() for watcher in watchers))

    async def _ask(self, probe: Mapping[str, Any]) -> str:
        return await check(self._target, probe)

    async def _passed(self, probe: Mapping[str, Any]) -> None:
        passed = asyncio.Event()
        watcher = Watcher(probe, self._ask, lambda up, why: passed.set(), passing=False)
        watching = asyncio.create_task(watcher.run())
        try:
            await passed.wait()
        finally:
            watching.cancel()

    def _readiness(self, up: bool, why: str) -> None:
        self.ready = up
        if not up:
            self._unhealthy("Readiness", why)
        self._changed()

    def _liveness(self, up: bool, why: str) -> None:
        if not up:
            self._unhealthy("Liveness", why)
            self._dead()


async def check(target: Target, probe: Mapping[str, Any]) -> str:
    """Ask once; why it failed, or nothing. Raises OSError, ValueError.

    gRPC is asked only whether it can be connected to.
    """
    if "exec" in probe:
        return await _execute(target, probe["exec"].get("command") or [])
    if "httpGet" in probe:
        return await _get(target, probe["httpGet"])
    asked = probe.get("tcpSocket") or probe.get("grpc") or {}
    with await _connected(target, *_address(target, asked)):
        return ""


def _address(target: Target, asked: Mapping[str, Any]) -> tuple[str, int]:
    return asked.get("host") or target.home.address, port_of(target.spec, asked.get("port"))


def port_of(spec: Mapping[str, Any], port: Any) -> int:
    """A port by number, or by its name in the container. Raises ValueError."""
    if isinstance(port, int):
        return port
    for each in spec.get("ports") or []:
        if each.get("name") == port:
            return int(each["containerPort"])
    raise ValueError(f'the container has no port named "{port}"')


async def _connected(target: Target, host: str, port: int) -> socket.socket:
    sock = target.node.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _get(target: Target, asked: Mapping[str, Any]) -> str:
    host, port = _address(target, asked)
    secure = None
    if asked.get("scheme") == "HTTPS":
        import ssl  # that lab is rare, and this takes its time

        secure = ssl.create_default_context()  # a kubelet does not verify a probe's certificate
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    sock = await _connected(target, host, port)
    name = host if secure else None
    reader, writer = await asyncio.open_connection(sock=sock, ssl=secure, server_hostname=name)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36"}
        headers |= {each["name"]: each["value"] for each in asked.get("httpHeaders") or []}
        lines = [f"GET {asked.get('path') or '/'} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode())
        answer = (await reader.readline())[:_HEAD_BYTES].split()
        if len(answer) < 2 or not answer[1].isdigit():
            return "the answer is not HTTP"
        status = int(answer[1])
        return "" if status in _OK else f"HTTP probe failed with statuscode: {status}"
    finally:
        writer.close()


async def _execute(target: Target, command: list[str]) -> str:
    execution = await Execution.begin(
        target.home, target.container, command, {}, stdin=False, tty=False
    )
    said = b""
    try:
        async for _, data in execution.output():
            said = (said + data)[-200:]
        status = await execution.wait()
    except BaseException:
        execution.kill()
        raise
    return f"exit status {status}: {said.decode(errors='replace').strip()}" if status else ""
