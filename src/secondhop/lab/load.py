"""Connections at a steady rate from the outside client, and how fast a connection is made."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

from ..model.cluster import Address
from .ask import get, who
from .netns import Namespace

T = TypeVar("T")
PATIENCE = 1.0
"""Seconds after which a connection without an answer is lost."""
_TICKS = 10
"""Parts of them: a moment in which this process itself was held up counts as one, however long."""
_BURST = 32
"""Handshakes in a row, before those who accept get the processor: fewer than a backlog holds."""
_TCP_INFO_TOTAL_RETRANS = 100
_PROMPT = 0.25
"""Seconds after which a handshake is not slow, but lost."""
_RESET = struct.pack("ii", 1, 0)


class Shot(NamedTuple):
    """One connection. at: when it was begun, by `time.monotonic`. pod: who answered; empty: nobody
    in time, a refusal, or only a SYN sent again, which is a second later. source, port: what the
    pod saw."""

    at: float
    pod: str = ""
    source: str = ""
    port: int = 0


class Load:
    """Fresh connections to one address, each with a request. Arrivals are evenly spaced, with a
    jitter of half an interval, so that nothing periodic hides between them. ports: to send from,
    none twice: a node that has sent a SYN on to a dead pod goes on to do so for two minutes with
    what comes from the same port."""

    def __init__(
        self,
        namespace: Namespace,
        target: tuple[Address, int],
        rate: float,
        seed: int,
        ports: Iterator[int],
    ) -> None:
        self._namespace, self._target, self._ports = namespace, target, ports
        self._interval, self._random = 1 / rate, random.Random(seed)
        self._shots: list[asyncio.Task[Shot]] = []
        self._running = asyncio.create_task(self._run())

    async def end(self) -> list[Shot]:
        """No more of them; all that there were, once each is decided."""
        self._running.cancel()
        return list(await asyncio.gather(*self._shots))

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._interval, time.monotonic())  # what was missed is not made up for
            jitter = (self._random.random() - 0.5) * self._interval
            await asyncio.sleep(max(0.0, due + jitter - time.monotonic()))
            self._shots.append(asyncio.create_task(self._shoot()))

    async def _shoot(self) -> Shot:
        at = time.monotonic()
        address, port = self._target
        try:
            with self._namespace.socket(family(address), socket.SOCK_STREAM) as sock:
                sock.bind(("" if address.version == 4 else "::", next(self._ports)))
                pod, seen = await _patiently(_asked(sock, (str(address), port)))
                return Shot(at, pod, *seen)
        except (OSError, TimeoutError, ValueError):
            return Shot(at)


async def _asked(sock: socket.socket, target: tuple[str, int]) -> tuple[str, tuple[str, int]]:
    """Who answers, and whom it saw. Raises OSError, ValueError, TimeoutError."""
    await asyncio.get_running_loop().sock_connect(sock, target)
    if _sent_again(
        sock
    ):  # later ones are repeated early, and in vain, where a machine stands still
        raise TimeoutError
    return who(await get(sock, "measured"))


async def _patiently(answer: Coroutine[Any, Any, T]) -> T:
    """The answer, if it comes within PATIENCE. Raises TimeoutError."""
    task = asyncio.ensure_future(answer)
    for _ in range(_TICKS):
        if (await asyncio.wait({task}, timeout=PATIENCE / _TICKS))[0]:
            return task.result()
    task.cancel()
    await asyncio.wait({task})
    raise TimeoutError


def _sent_again(sock: socket.socket) -> bool:
    """Whether a packet of ours was taken for lost."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    again: int = struct.unpack_from("=I", info, _TCP_INFO_TOTAL_RETRANS)[0]
    return again > 0


async def handshakes(
    namespace: Namespace, next_target: Callable[[], tuple[Address, int]], seconds: float
) -> list[float]:
    """Connections back to back for so long, to whatever target is next: the time of each handshake
    in milliseconds. The kernel makes them alone: no program has a part in it. The first one that
    fails is the last."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(_BURST):
            try:
                took.append(_handshake(namespace, next_target()))
            except OSError:
                return took
        await asyncio.sleep(0.002)
    return took


def _handshake(namespace: Namespace, target: tuple[Address, int]) -> float:
    address, port = target
    with namespace.socket(family(address), socket.SOCK_STREAM) as sock:
        sock.setblocking(True)
        sock.settimeout(_PROMPT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        begun = time.perf_counter()
        sock.connect((str(address), port))
        return (time.perf_counter() - begun) * 1000


def family(address: Address) -> int:
    """The socket family of an address."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
