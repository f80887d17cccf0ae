"""The client's side of HTTP, as little as a probe needs: whoami's answer and a health check's."""

from __future__ import annotations

import asyncio
import json
import socket

from .. import __version__
from ..model.fate import HealthAnswer


async def get(sock: socket.socket, host: str, path: str = "/") -> str:
    """GET as curl would ask; the body. Raises ValueError if the reply is not HTTP."""
    _, body = await _ask(sock, host, path)
    return body


async def health(sock: socket.socket, host: str) -> HealthAnswer:
    """What a healthCheckNodePort answers (semantics §6). Raises ValueError if it is none."""
    status, body = await _ask(sock, host, "/healthz")
    told = json.loads(body)
    if not isinstance(told, dict) or not isinstance(told.get("localEndpoints"), int):
        raise ValueError(f"not a health check's answer: {body[:60]!r}")
    return HealthAnswer(status, told["localEndpoints"])


async def _ask(sock: socket.socket, host: str, path: str) -> tuple[int, str]:
    """Status and body of a GET."""
    loop = asyncio.get_running_loop()
    agent = f"secondhop/{__version__}"
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n"
    await loop.sock_sendall(sock, request.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += await _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").split("\r\n")
    if not status.startswith("HTTP/1."):
        raise ValueError(f"the reply is not HTTP: {status[:60]!r}")
    code = int(status.partition(" ")[2][:3])
    named = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in headers)}
    if named.get("transfer-encoding") == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += await _more(sock)
        return code, _dechunked(body).decode(errors="replace")
    length = int(named.get("content-length", "0"))
    while len(body) < length:
        body += await _more(sock)
    return code, body.decode(errors="replace")


async def _more(sock: socket.socket) -> bytes:
    data = await asyncio.get_running_loop().sock_recv(sock, 65536)
    if not data:
        raise ValueError("the connection was closed before the reply was complete")
    return data


def _dechunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        found += body[:count]
        body = body[count + 2 :]
    return found


def who(reply: str) -> tuple[str, tuple[str, int]]:
    """The pod that answered, and the source address and port it saw, from whoami's reply.

    Raises ValueError if the reply is not whoami's.
    """
    fields = dict(line.split(": ", 1) for line in reply.splitlines() if ": " in line)
    address, _, port = fields.get("RemoteAddr", "").rpartition(":")
    return fields.get("Hostname", ""), (address.strip("[]"), int(port))
