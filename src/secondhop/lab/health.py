"""Probes of containers: startup, readiness, liveness, as a kubelet runs them."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from .container import Container, Home
from .netns import Namespace

_OK = range(200, 400)
_HEAD_BYTES = 64


class Watcher:
    """Runs one probe for as long as its container lives, and says when its answer turns.

    changed: called with the new answer once its threshold is reached. failed: called with the
    reason of every failure. passing: what counts at first; None: neither, so either is told.
    """

    def __init__(
        self,
        probe: Mapping[str, Any],
        check: Callable[[Mapping[str, Any]], Awaitable[str]],
        changed: Callable[[bool], None],
        failed: Callable[[str], None],
        *,
        passing: bool | None,
    ) -> None:
        self._probe, self._check = probe, check
        self._changed, self._failed = changed, failed
        self._passing = passing
        self._last: bool | None = None
        self._streak = 0

    async def run(self) -> None:
        """Probe until cancelled."""
        probe = self._probe
        await asyncio.sleep(probe.get("initialDelaySeconds") or 0)
        while True:
            if failure := await self._once():
                self._failed(failure)
            self._count(not failure)
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

    def _count(self, passed: bool) -> None:
        self._streak = self._streak + 1 if passed == self._last else 1
        self._last = passed
        name, usual = ("successThreshold", 1) if passed else ("failureThreshold", 3)
        if passed != self._passing and self._streak >= (self._probe.get(name) or usual):
            self._passing = passed
            self._changed(passed)


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
        if (probe := spec.get("startupProbe")) and not await self._starts(probe):
            self._dead()
            return
        self.started, self.ready = True, "readinessProbe" not in spec
        self._changed()
        watchers = []
        if probe := spec.get("readinessProbe"):
            watchers.append(self._watcher("Readiness", probe, self._readiness, passing=False))
        if probe := spec.get("livenessProbe"):
            watchers.append(self._watcher("Liveness", probe, self._liveness, passing=True))
        await asyncio.gather(*(watcher.run() for watcher in watchers))

    def _watcher(
        self,
        which: str,
        probe: Mapping[str, Any],
        changed: Callable[[bool], None],
        *,
        passing: bool | None,
    ) -> Watcher:
        ask = functools.partial(check, self._target)
        failed = functools.partial(self._unhealthy, which)
        return Watcher(probe, ask, changed, failed, passing=passing)

    async def _starts(self, probe: Mapping[str, Any]) -> bool:
        """Whether the startup probe passed before it failed too often."""
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        watcher = self._watcher("Startup", probe, told.set_result, passing=None)
        watching = asyncio.create_task(watcher.run())
        try:
            return await told
        finally:
            watching.cancel()

    def _readiness(self, up: bool) -> None:
        self.ready = up
        self._changed()

    def _liveness(self, up: bool) -> None:
        if not up:
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
    host = asked.get("host") or str(target.home.addresses[0])
    return host, port_of(target.spec, asked.get("port"))


def port_of(spec: Mapping[str, Any], port: Any) -> int:
    """A port by number, or by its name in the container. Raises ValueError."""
    if isinstance(port, int):
        return port
    for each in spec.get("ports") or []:
        if each.get("name") == port:
            return int(each["containerPort"])
    raise ValueError(f'the container has no port named "{port}"')


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _connected(target: Target, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = target.node.socket(family, socket.SOCK_STREAM)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except OSError as error:
        sock.close()
        why = os.strerror(error.errno or 0).lower()
        raise OSError(f"dial tcp {_joined(host, port)}: connect: {why}") from None
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
        headers = {"Host": _joined(host, port), "User-Agent": "kube-probe/1.36"}
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
    from .execution import Execution  # most probes ask over the network

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
