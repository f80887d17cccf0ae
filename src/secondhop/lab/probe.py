"""Fresh connections and datagrams from inside a namespace, and what became of each.

A refusal is told by the client's own kernel (unanswered.py). A drop is proved by the rule that
dropped (capture.py); only a packet that nobody claims is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..model.cluster import Address
from ..model.fate import Fate, HealthAnswer, Observation, Seen
from ..model.flow import Destination
from .ask import get, health, who
from .capture import Arrival, Arrivals, Packet, Refusal, mark_syn, marked
from .netns import FAMILIES, Namespace
from .unanswered import CONNECT_SECONDS, Unanswered, not_sent, refused, report_errors, silence

_REPLY_SECONDS = 5.0
_SETTLE_SECONDS = 0.002
"""After a rule claimed the packet, how long an answer may still contradict it."""
_LATE_SECONDS = 0.05
"""How long this process may take to notice an answer that came in time."""

_TCP_INFO_RTT = 68
_MOST_BYTES = 65536
_AT_ONCE = 8
_MARKS = itertools.count(1)
_SOURCE_PORTS: defaultdict[Address, Iterator[int]] = defaultdict(
    lambda: itertools.cycle(range(33000, 61000))
)
"""Of each sender, each in its turn: a port that comes again soon, as the kernel's choice may, would
find what the nodes remember of its last flow, however the rules have changed."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection, or one datagram.

    connect_ms: the handshake, by TCP's own clock. hops: cluster nodes crossed, by the TTL left.
    reply: the body as it came. http: what a health check answered.
    """

    fate: Fate
    evidence: str
    seen: Seen | None = None
    connect_ms: float | None = None
    hops: int | None = None
    reply: str = ""
    http: HealthAnswer | None = None


class Refusals:
    """Where the nodes' logs report, and where probes wait for a report about their own packet."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Refusal]] = {}
        self._sending = asyncio.Semaphore(_AT_ONCE)

    def report(self, packet: Packet, refusal: Refusal) -> None:
        """Take note that a rule refused this packet."""
        future = self._waiting.get(packet.mark)
        if future and not future.done():
            future.set_result(refusal)

    async def turn(self) -> None:
        """Wait until another datagram may go out: a pod's socket holds about a hundred, and who
        reads them is on the same loop as who sends."""
        async with self._sending:
            await asyncio.sleep(0)

    @contextlib.contextmanager
    def expect(self, packet: Packet) -> Iterator[asyncio.Future[Refusal]]:
        """A future that completes when a rule refuses this packet, whatever its addresses are by
        then."""
        future: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._waiting[packet.mark] = future
        try:
            yield future
        finally:
            del self._waiting[packet.mark]


class Prober:
    """Probes from one namespace and address. hops: reads an arrival for the nodes crossed,
    where that can be told."""

    def __init__(
        self,
        namespace: Namespace,
        source: Address,
        refusals: Refusals,
        arrivals: Arrivals,
        *,
        hops: Callable[[Arrival], int | None],
        wait_timeouts: bool,
    ) -> None:
        self._namespace = namespace
        self._source = source
        self._refusals = refusals
        self._arrivals = arrivals
        self._hops = hops
        self._wait = wait_timeouts

    async def observe(self, destination: Destination, attempts: int) -> tuple[Observation, str]:
        """That many fresh connections at once, or datagrams, summed up, and the first reply as it
        came."""
        made = await asyncio.gather(*(self.attempt(destination) for _ in range(attempts)))
        return summary(made), next((a.reply for a in made if a.reply), "")

    async def hold(self, destination: Destination) -> socket.socket | None:
        """A connection that has been answered once and stays open; None if it did not succeed, or
        the protocol knows none."""
        if destination.protocol != "TCP":
            return None
        sock = self._namespace.socket(FAMILIES[self._source.version], socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _bind_anew(sock, self._source)
                target = (str(destination.address), destination.port)
                await asyncio.get_running_loop().sock_connect(sock, target)
        except (OSError, TimeoutError):
            sock.close()
            return None
        return sock if await answers(sock) else None

    async def attempt(self, destination: Destination) -> Attempt:
        """One connection and one `GET /`, or one datagram and its answer."""
        attempt = self._datagram if destination.protocol == "UDP" else self._connection
        try:
            return await attempt(destination)
        except Unanswered as unanswered:
            return Attempt(unanswered.fate, unanswered.evidence)

    async def _connection(self, destination: Destination) -> Attempt:
        with self._socket(socket.SOCK_STREAM) as sock:
            _bind_anew(sock, self._source)
            mark_syn(sock, mark := next(_MARKS))
            target = (str(destination.address), destination.port)
            connecting = asyncio.get_running_loop().sock_connect(sock, target)
            await self._answered(sock, connecting, _packet(sock, target, mark))
            connect_ms = _handshake_ms(sock)
            try:
                async with asyncio.timeout(_REPLY_SECONDS):
                    if destination.kind == "healthCheckNodePort":
                        answer = await health(sock, str(destination))
                        return Attempt(Fate.DELIVERED, "", connect_ms=connect_ms, http=answer)
                    reply = await get(sock, str(destination))
                return self._delivered(reply, connect_ms)
            except TimeoutError:
                said = f"connected, but no reply in {_REPLY_SECONDS:.0f} s"
                return Attempt(Fate.DROPPED, said)
            except (OSError, ValueError) as error:
                return Attempt(Fate.CLOSED, f"connected, but then: {error}")

    async def _datagram(self, destination: Destination) -> Attempt:
        with self._socket(socket.SOCK_DGRAM) as sock:
            _bind_anew(sock, self._source)
            await self._refusals.turn()
            mark, target = next(_MARKS), (str(destination.address), destination.port)
            exchange = self._exchange(sock, target, mark)
            reply = await self._answered(sock, exchange, _packet(sock, target, mark))
            try:
                return self._delivered(reply.decode(errors="replace"))
            except ValueError as error:
                return Attempt(Fate.CLOSED, f"answered, but not by whoami: {error}")

    async def _exchange(self, sock: socket.socket, target: tuple[str, int], mark: int) -> bytes:
        """A datagram there, and the one that comes back."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, target)
        await loop.sock_sendall(sock, marked(mark, b"who are you?\n"))
        return await loop.sock_recv(sock, _MOST_BYTES)

    def _socket(self, kind: int) -> socket.socket:
        sock = self._namespace.socket(FAMILIES[self._source.version], kind)
        report_errors(sock)
        return sock

    def _delivered(self, reply: str, connect_ms: float | None = None) -> Attempt:
        """Raises ValueError if the reply is not whoami's."""
        pod, peer = who(reply)
        arrival = self._arrivals.pop(peer, None)
        hops = self._hops(arrival) if arrival else None
        return Attempt(Fate.DELIVERED, "", Seen(pod, peer[0]), connect_ms, hops, reply)

    async def _answered(
        self, sock: socket.socket, trying: Coroutine[Any, Any, T], packet: Packet
    ) -> T:
        """What comes of trying. Raises Unanswered with what became of the first packet."""
        answer = asyncio.ensure_future(trying)
        with self._refusals.expect(packet) as refusal:
            try:
                await self._first_word(answer, refusal)
                claim = refusal.result() if refusal.done() else None
                if answer.done():
                    return answer.result()
                waited = self._wait or claim is None or not claim.drops
                raise silence(sock, claim, waited=waited)
            except OSError as error:
                if error.errno != errno.EPERM:
                    raise refused(sock, error, claim) from None
                await asyncio.wait({refusal}, timeout=CONNECT_SECONDS)
                raise not_sent(refusal.result() if refusal.done() else None) from None
            finally:
                answer.cancel()  # and let the loop forget the descriptor before it is closed
                await asyncio.wait({answer})

    async def _first_word(self, answer: asyncio.Task[T], refusal: asyncio.Future[Refusal]) -> None:
        """Wait until the packet's fate is known: the client hears something, a rule says that
        it dropped the packet and for a moment nobody contradicts, or it has been long enough."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONNECT_SECONDS
        if not self._wait:
            first: set[asyncio.Future[Any]] = {answer, refusal}
            await asyncio.wait(first, timeout=CONNECT_SECONDS, return_when="FIRST_COMPLETED")
            if refusal.done() and refusal.result().drops:
                deadline = loop.time() + _SETTLE_SECONDS
        if not answer.done():
            least = 0.0 if refusal.done() else _LATE_SECONDS
            await asyncio.wait({answer}, timeout=max(deadline - loop.time(), least))


def _packet(sock: socket.socket, target: tuple[str, int], mark: int) -> Packet:
    """What a bound socket sends first."""
    source, source_port = sock.getsockname()[:2]
    return Packet(source, source_port, *target, mark)


def _bind_anew(sock: socket.socket, source: Address) -> None:
    """To a port from which nothing has come for long."""
    while True:
        try:
            sock.bind((str(source), next(_SOURCE_PORTS[source])))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


async def answers(sock: socket.socket) -> bool:
    """Whether an open connection still answers a request; closes it if not."""
    try:
        async with asyncio.timeout(_REPLY_SECONDS):
            await get(sock, "held")
    except (OSError, TimeoutError, ValueError):
        sock.close()
        return False
    return True


def summary(attempts: list[Attempt]) -> Observation:
    """Attempts summed up; MIXED when their fates differ."""
    fates = Counter(attempt.fate for attempt in attempts)
    evidence = Counter(a.evidence for a in attempts if a.fate is not Fate.DELIVERED)
    return Observation(
        fate=next(iter(fates)) if len(fates) == 1 else Fate.MIXED,
        attempts=len(attempts),
        seen=Counter(a.seen for a in attempts if a.seen),
        fates=fates,
        connect_ms=tuple(sorted(a.connect_ms for a in attempts if a.connect_ms is not None)),
        hops=Counter(a.hops for a in attempts if a.hops is not None),
        evidence=_told(evidence, len(attempts), fates),
        http=next((attempt.http for attempt in attempts if attempt.http), None),
    )


def _told(evidence: Mapping[str, int], attempts: int, fates: Mapping[Fate, int]) -> str:
    told = [f"{count} of {attempts}: {text}" for text, count in evidence.items()]
    if delivered := fates.get(Fate.DELIVERED, 0):
        told.insert(0, f"{delivered} of {attempts} answered")
    return "; ".join(told)


def _handshake_ms(sock: socket.socket) -> float:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    microseconds: int = struct.unpack_from("=I", info, _TCP_INFO_RTT)[0]
    return microseconds / 1000
