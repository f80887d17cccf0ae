"""One HTTP request out of a namespace."""

from __future__ import annotations

import asyncio
import socket

from ..model.cluster import Address
from .netns import Namespace

_HEAD_BYTES = 64


async def status_of(
    namespace: Namespace, address: Address, port: int, path: str, *, post: bytes | None = None
) -> int:
    """The status of the answer to a GET, or to a POST of that body; 0 if it is not HTTP. Waits as
    long as it is made to. Raises OSError, ValueError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = namespace.socket(family, socket.SOCK_STREAM)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        host = f"[{address}]" if address.version == 6 else str(address)
        lines = [f"{'GET' if post is None else 'POST'} {path} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [] if post is None else [f"Content-Length: {len(post)}"]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + (post or b""))
        answer = (await reader.readline())[:_HEAD_BYTES].split()
        return int(answer[1]) if len(answer) > 1 and answer[1].isdigit() else 0
    finally:
        writer.close()
