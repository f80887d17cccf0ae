"""Connections from this machine, on any operating system, and what became of each."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address

from ..model.cluster import Address
from ..model.fate import Fate, Observation, Seen
from ..model.flow import Destination, Flow
from ..model.probing import Answer, Tried
from .telling import Conversation, Teller, Told

_REPLY_SECONDS = 3.0
_MOST = 1 << 20
"""Bytes of a reply that are looked at."""
_AT_ONCE = 200
_NOTHING = Told()
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_MEANT = {
    (3, 3, 4): Fate.REJECTED,
    (1, 4, 6): Fate.REJECTED,
    (11, 0, 4): Fate.LOOP,
    (3, 0, 6): Fate.LOOP,
}
"""What an ICMP error tells, by type, code and family; any other: no way there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection. connect_ms: the handshake; status: of an HTTP reply; page: the first."""

    fate: Fate
    evidence: str
    told: Told = _NOTHING
    connect_ms: float | None = None
    status: int | None = None
    page: str = ""


def own_address(toward: Address) -> Address | None:
    """The address that this machine would send from; None where it knows no way. Sends nothing."""
    family = socket.AF_INET if toward.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((str(toward), 9))
            return ip_address(sock.getsockname()[0])
    except OSError:
        return None


class Dialler:
    """Dials from here. seconds: how long to wait for an answer to a SYN."""

    def __init__(self, seconds: float, teller: Teller) -> None:
        self._seconds = seconds
        self._teller = teller
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def observe(self, flow: Flow, node: str | None, attempts: int) -> Tried:
        """That many fresh connections at once, summed up."""
        to = flow.destination
        made = await asyncio.gather(*(self.attempt(to) for _ in range(attempts)))
        told = next((a for a in made if a.status is not None), made[0])
        return Tried(flow, summary(made), node, status=told.status, page=told.page)

    async def hold(self, to: Destination) -> Line | None:
        """A connection that has been answered once and stays open; None if there is none."""
        line = await self._connect(to)
        if isinstance(line, Attempt):
            return None
        return line if await self.holds(line, to) else None

    async def holds(self, line: Line, to: Destination) -> bool:
        """Whether an open connection still answers; closes it if not."""
        try:
            async with asyncio.timeout(_REPLY_SECONDS):
                await line.get("/", str(to))
        except (OSError, EOFError, ValueError, TimeoutError):
            line.close()
            return False
        return True

    async def answer(self, address: Address, port: int) -> Answer:
        """What comes back from a port, be it a refusal."""
        async with self._room:
            line = await self._connect(Destination("address", address, port))
        if isinstance(line, Line):
            line.close()
            return "connected"
        return "refused" if line.fate in (Fate.CLOSED, Fate.REJECTED) else "silent"

    async def attempt(self, to: Destination) -> Attempt:
        """One connection, and what the program behind it tells."""
        async with self._room:
            line = await self._connect(to)
            if isinstance(line, Attempt):
                return line
            try:
                async with asyncio.timeout(_REPLY_SECONDS):
                    told = await _converse(line, self._teller(), str(to))
                return Attempt(Fate.DELIVERED, "", told, line.connect_ms, line.status, line.page)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                # Connected is delivered; what follows is the program's own protocol.
                said = f"connected; no HTTP reply ({error or type(error).__name__})"
                return Attempt(Fate.DELIVERED, said, _NOTHING, line.connect_ms, line.status)
            finally:
                line.close()

    async def _connect(self, to: Destination) -> Line | Attempt:
        family = socket.AF_INET if to.address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        _listen_for_icmp(sock)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self._seconds):
                await loop.sock_connect(sock, (str(to.address), to.port))
        except TimeoutError:
            sock.close()
            return Attempt(Fate.DROPPED, f"no answer in {self._seconds:g} s")
        except OSError as error:
            try:
                return _refused(sock, error)
            finally:
                sock.close()
        return Line(sock, (loop.time() - begun) * 1000)


class Line:
    """An open connection for HTTP/1.1."""

    def __init__(self, sock: socket.socket, connect_ms: float) -> None:
        self._sock = sock
        self.connect_ms = connect_ms
        self.status: int | None = None
        self.page = ""

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    async def get(self, path: str, host: str) -> str:
        """The body of `GET path`, cut short where it is long. Raises OSError, EOFError and
        ValueError."""
        body = (await self._body(path, host)).decode("utf-8", "replace")
        self.page = self.page or body
        return body

    async def _body(self, path: str, host: str) -> bytes:
        loop = asyncio.get_running_loop()
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: secondhop\r\n\r\n"
        await loop.sock_sendall(self._sock, request.encode())
        data = await self._until(b"", b"\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = lines[0].split()
        if not version.startswith("HTTP/"):
            raise ValueError("it speaks something else")
        self.status = int(status)
        fields = {k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return _unchunked(await self._until(body, b"0\r\n\r\n"))
        size = int(fields["content-length"]) if "content-length" in fields else _MOST
        while len(body) < min(size, _MOST) and (part := await loop.sock_recv(self._sock, 65536)):
            body += part
        return body

    async def _until(self, data: bytes, end: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        while end not in data and len(data) < _MOST:
            part = await loop.sock_recv(self._sock, 65536)
            if not part:
                raise EOFError("it hung up")
            data += part
        return data


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size_text, _, data = data.partition(b"\r\n")
        size = int(size_text.partition(b";")[0], 16)
        if size == 0:
            break
        body, data = body + data[:size], data[size + 2 :]
    return body


async def _converse(line: Line, conversation: Conversation, host: str) -> Told:
    try:
        path = next(conversation)
        while True:
            path = conversation.send(await line.get(path, host))
    except StopIteration as end:
        told: Told = end.value
        return told


def summary(attempts: list[Attempt]) -> Observation:
    """Attempts summed up; MIXED when their fates differ."""
    fates = Counter(attempt.fate for attempt in attempts)
    said = Counter(attempt.evidence for attempt in attempts if attempt.evidence)
    return Observation(
        fate=next(iter(fates)) if len(fates) == 1 else Fate.MIXED,
        attempts=len(attempts),
        seen=Counter(Seen(*a.told) for a in attempts if a.told.source),
        fates=fates,
        connect_ms=tuple(sorted(a.connect_ms for a in attempts if a.connect_ms is not None)),
        evidence="; ".join(f"{count} of {len(attempts)}: {text}" for text, count in said.items()),
    )


def _listen_for_icmp(sock: socket.socket) -> None:
    """So that Linux tells a refusal by ICMP from a reset."""
    if hasattr(socket, "MSG_ERRQUEUE"):
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def _refused(sock: socket.socket, error: OSError) -> Attempt:
    icmp = _icmp(sock)
    if icmp is not None:
        return Attempt(_MEANT.get(icmp, Fate.UNROUTABLE), "ICMP {}/{} of IPv{}".format(*icmp))
    if isinstance(error, ConnectionRefusedError):
        told = "RST" if hasattr(socket, "MSG_ERRQUEUE") else "refused, by RST or ICMP"
        return Attempt(Fate.CLOSED, told)
    if isinstance(error, ConnectionResetError):
        return Attempt(Fate.CLOSED, "RST")
    return Attempt(Fate.UNROUTABLE, f"this machine's own system: {error.strerror}")


def _icmp(sock: socket.socket) -> tuple[int, int, int] | None:
    """Type, code and family of the ICMP error in the socket's error queue, where there is one."""
    if not hasattr(socket, "MSG_ERRQUEUE"):
        return None
    try:
        _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for _, kind, data in ancillary:
        if kind in (_IP_RECVERR, _IPV6_RECVERR) and data[4] in _FROM_ICMP:
            return data[5], data[6], 4 if data[4] == _FROM_ICMP[0] else 6
    return None
