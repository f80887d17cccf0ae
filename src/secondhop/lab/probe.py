"""Fresh connections from inside a namespace, and what became of each.

A refusal is told by the client's own kernel: an ICMP error, which the socket's error queue holds
with its type and sender, or a RST. A drop is proved by the rule that dropped (capture.py); only a
packet that nobody claims is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from ..model.fate import Fate, HealthAnswer, Observation, Seen
from ..model.flow import Destination
from .ask import get, health, who
from .capture import Arrival, Arrivals, Packet, Refusal
from .netns import Namespace

CONNECT_SECONDS = 1.0
"""How long to wait for a packet that nobody claims: `curl --connect-timeout 1`."""
_REPLY_SECONDS = 5.0
_SETTLE_SECONDS = 0.002
"""After a rule claimed the packet, how long an answer may still contradict it."""

_IP_RECVERR = 11
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_FROM_ICMP = 2
_SO_EE_OFFENDER = struct.Struct("=HH4s")
_TCP_INFO_RTT = 68
_PORT_UNREACHABLE = (3, 3)
_TIME_EXCEEDED = 11


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection.

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
        self._waiting: dict[Packet, asyncio.Future[Refusal]] = {}

    def report(self, packet: Packet, refusal: Refusal) -> None:
        """Take note that a rule refused this packet."""
        future = self._waiting.get(packet)
        if future and not future.done():
            future.set_result(refusal)

    @contextlib.contextmanager
    def expect(self, packet: Packet) -> Iterator[asyncio.Future[Refusal]]:
        """A future that completes when a rule refuses this packet."""
        future: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._waiting[packet] = future
        try:
            yield future
        finally:
            del self._waiting[packet]


class Prober:
    """Probes from one namespace and address. hops: reads an arrival for the nodes crossed,
    where that can be told."""

    def __init__(
        self,
        namespace: Namespace,
        source: IPv4Address,
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
        """That many fresh connections at once, summed up, and the first reply as it came."""
        made = await asyncio.gather(*(self.attempt(destination) for _ in range(attempts)))
        return summary(made), next((a.reply for a in made if a.reply), "")

    async def hold(self, destination: Destination) -> socket.socket | None:
        """A connection that has been answered once and stays open; None if it did not succeed."""
        sock = self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                sock.bind((str(self._source), 0))
                target = (str(destination.address), destination.port)
                await asyncio.get_running_loop().sock_connect(sock, target)
        except (OSError, TimeoutError):
            sock.close()
            return None
        return sock if await answers(sock) else None

    async def attempt(self, destination: Destination) -> Attempt:
        """One connection and one `GET /`."""
        with self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            sock.bind((str(self._source), 0))
            target = (str(destination.address), destination.port)
            source_port: int = sock.getsockname()[1]
            syn = Packet(str(self._source), source_port, *target)
            with self._refusals.expect(syn) as refusal:
                unanswered = await self._connect(sock, target, refusal)
            if unanswered:
                return unanswered
            connect_ms = _handshake_ms(sock)
            try:
                async with asyncio.timeout(_REPLY_SECONDS):
                    if destination.kind == "healthCheckNodePort":
                        answer = await health(sock, str(destination))
                        return Attempt(Fate.DELIVERED, "", connect_ms=connect_ms, http=answer)
                    reply = await get(sock, str(destination))
                pod, (address, port) = who(reply)
            except TimeoutError:
                said = f"connected, but no reply in {_REPLY_SECONDS:.0f} s"
                return Attempt(Fate.DROPPED, said)
            except (OSError, ValueError) as error:
                return Attempt(Fate.CLOSED, f"connected, but then: {error}")
            arrival = self._arrivals.pop((address, port), None)
            hops = self._hops(arrival) if arrival else None
            return Attempt(Fate.DELIVERED, "", Seen(pod, address), connect_ms, hops, reply)

    async def _connect(
        self, sock: socket.socket, target: tuple[str, int], refusal: asyncio.Future[Refusal]
    ) -> Attempt | None:
        """None once connected, else what became of the SYN."""
        loop = asyncio.get_running_loop()
        connecting = asyncio.ensure_future(loop.sock_connect(sock, target))
        try:
            await self._first_word(connecting, refusal)
            claim = refusal.result() if refusal.done() else None
            if not connecting.done():
                return _silence(claim, waited=self._wait or claim is None or not claim.drops)
            connecting.result()
            return None
        except OSError as error:
            return _answered(sock, error, claim)
        finally:
            connecting.cancel()  # and let the loop forget the descriptor before it is closed
            await asyncio.wait({connecting})

    async def _first_word(
        self, connecting: asyncio.Task[None], refusal: asyncio.Future[Refusal]
    ) -> None:
        """Wait until the connection's fate is known: the client hears something, a rule says that
        it dropped the packet and for a moment nobody contradicts, or it has been long enough."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONNECT_SECONDS
        if not self._wait:
            first: set[asyncio.Future[Any]] = {connecting, refusal}
            await asyncio.wait(first, timeout=CONNECT_SECONDS, return_when="FIRST_COMPLETED")
            if refusal.done() and refusal.result().drops:
                deadline = loop.time() + _SETTLE_SECONDS
        if not connecting.done():
            await asyncio.wait({connecting}, timeout=max(deadline - loop.time(), 0))


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


def _silence(claim: Refusal | None, *, waited: bool) -> Attempt:
    silence = f"no answer in {CONNECT_SECONDS:.0f} s" if waited else ""
    if claim is None:
        return Attempt(Fate.DROPPED, f"{silence}, and no rule reported a drop")
    proof = f"the SYN reached {claim.node} and hit {claim.rule}"
    if not claim.drops:
        return Attempt(Fate.REJECTED, f"{proof}, but its ICMP did not arrive ({silence})")
    return Attempt(Fate.DROPPED, f"{proof} ({silence})" if silence else proof)


def _answered(sock: socket.socket, error: OSError, claim: Refusal | None) -> Attempt:
    """A connection that was refused: by whom, and how."""
    rule = f", by {claim.rule}" if claim else ""
    icmp = _icmp_error(sock)
    if icmp is None:
        if isinstance(error, ConnectionRefusedError):
            return Attempt(
                Fate.CLOSED,
                "RST: nobody listens there, neither the node nor the pod that a rule chose",
            )
        return Attempt(Fate.UNROUTABLE, f"the client's own kernel: {error.strerror}")
    kind, code, sender = icmp
    said = f"ICMP {kind}/{code} from {sender}{rule}"
    if (kind, code) == _PORT_UNREACHABLE:
        return Attempt(Fate.REJECTED, said)
    return Attempt(Fate.LOOP if kind == _TIME_EXCEEDED else Fate.UNROUTABLE, said)


def _icmp_error(sock: socket.socket) -> tuple[int, int, str] | None:
    """Type, code and sender of the ICMP error in the socket's error queue, if there is one."""
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR):
            _, origin, icmp_type, icmp_code, _, _ = _EXTENDED_ERROR.unpack_from(data)
            if origin == _FROM_ICMP:
                _, _, sender = _SO_EE_OFFENDER.unpack_from(data, _EXTENDED_ERROR.size)
                return icmp_type, icmp_code, str(IPv4Address(sender))
    return None


def _handshake_ms(sock: socket.socket) -> float:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    microseconds: int = struct.unpack_from("=I", info, _TCP_INFO_RTT)[0]
    return microseconds / 1000
