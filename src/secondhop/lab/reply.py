"""HTTP/1 replies into bytes, as Go's net/http server writes them. No I/O."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from .http import MAX_BODY, Request

MAX_WHOLE = 2048
"""Bytes up to which Go sends a body whole, with its Content-Length; longer ones are chunked."""

TEXT = "text/plain; charset=utf-8"

_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SNIFFED = 512
_GO_REASONS = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


@dataclass(slots=True)
class Reply:
    """What a handler answers. headers: those it sets itself, sorted by name; blocks: a body of
    text in pieces, in place of `body`; whole: whether Go has all of the body when it writes the
    head; delay: seconds to wait before it is sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    blocks: Iterator[bytes] | None = None
    whole: bool = True
    delay: float = 0.0


class Wire(NamedTuple):
    """A reply as it goes out. first: the head, and a short body with it; rest: what follows;
    last: whether the connection ends with it."""

    first: bytes
    rest: Iterator[bytes] | None
    last: bool


def error(status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> Reply:
    """A plain text error."""
    all_headers = {**headers, "Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return Reply(f"{text}\n".encode("utf-8", "surrogateescape"), status, all_headers)


def wire(request: Request, reply: Reply) -> Wire:
    """A reply to this request, framed: whole, chunked or up to the end of the connection."""
    if 100 <= reply.status < 200:
        first, rest, last = wire(request, Reply())
        return Wire(_status_line(request, reply.status) + b"\r\n" + first, rest, last)
    head, blocks = dict(reply.headers), reply.blocks
    if blocks is None and (len(reply.body) > MAX_WHOLE or not reply.whole):
        blocks = iter((reply.body,))
    bodiless = reply.status in (204, 304)
    head["Date"] = date(int(time.time()))
    sized = "Content-Length" in head or blocks or bodiless
    if not sized and (reply.body or request.method != "HEAD"):
        head["Content-Length"] = str(len(reply.body))
    if "Content-Type" not in head and (blocks or reply.body):
        binary = _BINARY.search(reply.body, 0, _SNIFFED)
        head["Content-Type"] = "application/octet-stream" if binary else TEXT
    last = _connection(request, head, bodiless or request.method == "HEAD")
    if request.method == "HEAD":
        return Wire(_head(request, reply.status, head), None, last)
    if blocks and request.modern and "Content-Length" not in head:
        head["Transfer-Encoding"] = "chunked"
        blocks = _chunked(blocks)
    whole = b"" if blocks else reply.body
    return Wire(_head(request, reply.status, head) + whole, blocks, last)


def _connection(request: Request, head: dict[str, str], bodiless: bool) -> bool:
    """Sets the Connection header; whether the connection ends with this reply."""
    if head.get("Connection") == "close":
        return True
    last = request.closes or request.size > MAX_BODY
    if not request.modern and not bodiless and "Content-Length" not in head:
        last = True
    elif not request.modern and not last:
        head.setdefault("Connection", "keep-alive")
    if last:
        head.pop("Connection", None)
        if request.modern:
            head["Connection"] = "close"
    return last


def _head(request: Request, status: int, head: dict[str, str]) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in head.items()])
    return _status_line(request, status) + f"{lines}\r\n".encode("utf-8", "surrogateescape")


def _status_line(request: Request, status: int) -> bytes:
    protocol = "HTTP/1.1" if request.modern else "HTTP/1.0"
    return f"{protocol} {status} {reason(status)}\r\n".encode()


def _chunked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield b"%x\r\n%b\r\n" % (len(block), block)
    yield b"0\r\n\r\n"


@lru_cache(maxsize=64)
def reason(status: int) -> str:
    """The words Go puts behind a status code."""
    try:
        return _GO_REASONS.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"


@lru_cache(maxsize=4)
def date(now: int) -> str:
    """A second since the epoch as an HTTP date."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
