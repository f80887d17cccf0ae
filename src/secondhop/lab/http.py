"""HTTP/1 requests out of bytes, as Go's net/http server reads them. No I/O.

Text is UTF-8 with surrogate escapes throughout, so that any byte a client sends comes back.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

from .url import Target, parse_target

MAX_HEAD = (1 << 20) + 4096
"""Bytes of request line and headers, the blank line included: Go's default and its slack."""
MAX_BODY = 256 << 10
"""Bytes of a body that are read; with more the connection ends after the reply, as in Go."""
KEPT_BODY = 512
"""Bytes of a body that a handler gets to see: whoami echoes no more (`whoami._echo`)."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_REQUEST_LINE = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])"
)
_FOLD = re.compile(r"\n[ \t]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HOST = re.compile(r"[A-Za-z0-9!$%&()*+,\-.:;=\[\]'_~]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r?\n")


class Refused(Exception):
    """A request that is answered with one status and the end of the connection."""

    def __init__(self, status: str, text: str = "") -> None:
        super().__init__(status)
        self.answer = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Connection: close\r\n\r\n{text or status}"
        ).encode()


BAD_REQUEST = "400 Bad Request"


@dataclass(slots=True)
class Request:
    """One request. headers: canonical names without Host, values in order; length: of the body in
    bytes, -1 when chunked; body: its first KEPT_BODY bytes; size: of what was read of it."""

    method: str
    target: Target
    version: str
    headers: dict[str, list[str]]
    host: str
    length: int
    body: bytes = b""
    size: int = 0

    @property
    def modern(self) -> bool:
        """Whether it is HTTP/1.1 or later."""
        return self.version != "HTTP/1.0"

    def header(self, name: str) -> str:
        """The first value of a header, empty if there is none."""
        return self.headers.get(name, ("",))[0]

    def connection(self, token: str) -> bool:
        """Whether a Connection header lists this token."""
        values = self.headers.get("Connection", ())
        return any(token == word.strip(" \t").lower() for v in values for word in v.split(","))

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection to end after the reply."""
        if "Connection" not in self.headers:
            return not self.modern
        return self.connection("close") or not (self.modern or self.connection("keep-alive"))


class Reader:
    """The requests of one connection, out of its bytes as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._requests = self._read()
        self._in_body = False
        self.expecting = False
        """Whether the client waits for `100 Continue` before it sends a body."""

    @property
    def buffered(self) -> int:
        """Bytes received and not yet read."""
        return len(self._buffer)

    @property
    def idle(self) -> bool:
        """Whether it stands between two requests."""
        return not self._buffer and not self._in_body

    def feed(self, data: bytes) -> None:
        """Takes bytes from the client."""
        self._buffer += data

    def next(self) -> Request | None:
        """The next whole request, None until more bytes come. Raises Refused, then it is over."""
        return next(self._requests)

    def _read(self) -> Generator[Request | None, None, None]:
        while True:
            request = _request((yield from self._head()))
            self._in_body = request.length != 0
            if self._in_body:
                self.expecting = request.modern and "Expect" in request.headers
                yield from self._body(request)
            self._in_body = self.expecting = False
            yield request
            if request.method == "POST":
                yield from self._skip_newlines()

    def _head(self) -> Generator[None, None, str]:
        """Everything before the blank line; a bad request line is refused at once."""
        start, first_seen = 0, False
        while (end := _END_OF_HEAD.search(self._buffer, start, MAX_HEAD)) is None:
            if not first_seen and (eol := self._buffer.find(b"\n", 0, MAX_HEAD)) >= 0:
                _request_line(_text(self._buffer[:eol]).removesuffix("\r"))
                first_seen = True
            if len(self._buffer) >= MAX_HEAD:
                raise Refused("431 Request Header Fields Too Large")
            start = max(0, len(self._buffer) - 2)
            yield None
        head = _text(self._take(end.end())[: end.start()])
        return head.replace("\r\n", "\n").removesuffix("\r")

    def _body(self, request: Request) -> Generator[None, None, None]:
        if request.length > 0:
            yield from self._data(request, request.length)
            return
        while size := (yield from self._chunk_size()):
            yield from self._data(request, size)
            if request.size > MAX_BODY:
                return
            if (yield from self._line()).strip(b"\r\n"):
                raise Refused(BAD_REQUEST)
        while (yield from self._line()).strip(b"\r\n"):
            pass

    def _data(self, request: Request, size: int) -> Generator[None, None, None]:
        """The next `size` bytes of a body, or as many as are worth reading."""
        size = min(size, MAX_BODY + 1 - request.size)
        while size:
            if not self._buffer:
                yield None
                continue
            piece = self._take(min(size, len(self._buffer)))
            request.body += piece[: KEPT_BODY - len(request.body)]
            request.size += len(piece)
            size -= len(piece)

    def _chunk_size(self) -> Generator[None, None, int]:
        size = _CHUNK_SIZE.fullmatch((yield from self._line()))
        if size is None:
            raise Refused(BAD_REQUEST)
        return int(size[1], 16)

    def _line(self, limit: int = 4096) -> Generator[None, None, bytes]:
        while (end := self._buffer.find(b"\n", 0, limit)) < 0:
            if len(self._buffer) >= limit:
                raise Refused(BAD_REQUEST)
            yield None
        return self._take(end + 1)

    def _skip_newlines(self) -> Generator[None, None, None]:
        """Old clients send a newline after the body of a POST (RFC 9112 §2.2)."""
        while not self._buffer or self._buffer[0] in b"\r\n":
            if self._buffer:
                self._take(1)
            else:
                yield None

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", "surrogateescape")


def _request_line(line: str) -> tuple[str, str, str]:
    """Method, URI and version of a request line."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused(BAD_REQUEST)
    method, uri, major, minor = match.groups()
    if line == "PRI * HTTP/2.0":
        raise Refused("501 Not Implemented")
    if major != "1":
        raise Refused("505 HTTP Version Not Supported: unsupported protocol version")
    return method, uri, f"HTTP/{major}.{minor}"


def _request(head: str) -> Request:
    first, _, rest = head.partition("\n")
    method, uri, version = _request_line(first)
    target = parse_target(method, uri)
    if target is None:
        raise Refused(BAD_REQUEST)
    headers = _headers(rest)
    host = _host(headers, version != "HTTP/1.0")
    if headers.get("Pragma", ("",))[0] == "no-cache" and "Cache-Control" not in headers:
        headers["Cache-Control"] = ["no-cache"]
    if headers.get("Expect", ("100-continue",))[0].lower() != "100-continue":
        raise Refused("417 Expectation Failed")
    length = _length(headers, version != "HTTP/1.0")
    return Request(method, target, version, headers, target.host or host, length)


def _headers(text: str) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    if not text:
        return headers
    if text[0] in " \t":
        raise Refused(BAD_REQUEST)
    if _CONTROL.search(text):
        raise Refused(f"{BAD_REQUEST}: invalid header value")
    for line in _unfold(text).split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise Refused(BAD_REQUEST)
        if _NAME.fullmatch(name) is None:
            raise Refused(f"{BAD_REQUEST}: invalid header name")
        name = "-".join([word.capitalize() for word in name.split("-")])
        headers.setdefault(name, []).append(value.strip(" \t"))
    return headers


def _unfold(text: str) -> str:
    """Headers with those that go on over several lines brought on one."""
    if "\n " not in text and "\n\t" not in text:
        return text
    return _FOLD.sub(" ", "\n".join([line.rstrip(" \t") for line in text.split("\n")]))


def _host(headers: dict[str, list[str]], required: bool) -> str:
    hosts = headers.pop("Host", [])
    if len(hosts) > 1:
        raise Refused(BAD_REQUEST)
    if required and not hosts:
        raise Refused(f"{BAD_REQUEST}: missing required Host header")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise Refused(f"{BAD_REQUEST}: malformed Host header")
    return hosts[0] if hosts else ""


def _length(headers: dict[str, list[str]], may_chunk: bool) -> int:
    """Of the body in bytes, -1 when chunked; removes the headers that Go removes."""
    codings = headers.pop("Transfer-Encoding", None)
    if codings and may_chunk:
        if [c.lower() for c in codings] != ["chunked"]:
            raise Refused("501 Not Implemented", "Unsupported transfer encoding")
        headers.pop("Content-Length", None)
        return -1
    lengths = headers.get("Content-Length", ["0"])
    if len(set(lengths)) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise Refused(BAD_REQUEST)
    del lengths[1:]
    return int(lengths[0])
