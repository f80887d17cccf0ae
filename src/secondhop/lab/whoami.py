"""The built-in backend: answers as traefik/whoami does (semantics §9), on a shared event loop.

Not built: WebSocket (/echo), /openapi.yaml and gRPC answer 501; the TLS flags are refused.
Simpler than the original: a request for several ranges, or a conditional one, is answered in full;
trailers are read and dropped; a malformed chunk is a bad request.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence

from .http import KEPT_BODY, Request
from .payload import data
from .reply import Reply, error
from .server import PATIENCE, Connection
from .url import TRUE, query_value
from .workloads import Settings

_UNBUILT_PATHS = ("/echo", "/openapi.yaml")
_GRPC = "/whoami.Whoami/"


_DURATION_PART = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})([nuµμm]?s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_LONGEST_DURATION = 2**63 / 1e9

_HTML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})
_ZONE = re.compile(r"%[^%\]]*(?=\])")
_JSON_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "&<>\u2028\u2029"}
_JSON_ESCAPES |= {0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)}
_JSON_INTEGER = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}(?![0-9])))(?![.eE])")
_JSON_KINDS = {'"': "string", "{": "object", "[": "array", "t": "bool", "f": "bool"}
_DIGITS = "-0123456789"


class Whoami:
    """One server, that is one pod: what its connections share. Calling it makes the protocol of a
    new connection, as `loop.create_server` wants it.

    addresses: of all interfaces, as the pod's kernel lists them. log: takes whoami's log lines,
    without the time that Go writes before them. patience: see `server.PATIENCE`.
    """

    def __init__(
        self,
        settings: Settings,
        addresses: Callable[[], Sequence[str]],
        log: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._log = log
        self._patience = patience
        self._health = 200
        self._routes = {
            "/api": self._api,
            "/health": self._healthy,
            "/bench": self._bench,
            "/data": data,
        }
        log(f"Starting up on port {settings.port}")

    def __call__(self) -> Connection:
        """The protocol of one new connection."""
        return Connection(self._reply, self._patience)

    def _reply(self, request: Request, peer: str) -> Reply:
        try:
            reply = self._route(request, peer)
        except Exception as failure:
            self._log(f"http: panic serving {peer}: {failure}")
            raise
        if self._settings.verbose:
            now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            path = _encode(request.target.path).decode(errors="replace")
            line = f"{request.method} {path} {request.version}"
            self._log(f'{peer} - - [{now}] "{line}" - -')
        return reply

    def _route(self, request: Request, peer: str) -> Reply:
        target = request.target
        if target.text == "*":
            return _asterisk(request)
        if target.canonical is not None:
            return _moved(request)
        if target.path in _UNBUILT_PATHS or target.path.startswith(_GRPC):
            return error(501, f"secondhop's whoami does not answer {target.path}")
        if not target.path:
            return error(404, "404 page not found")
        return self._routes.get(target.path, self._identity)(request, peer)

    def _identity(self, request: Request, peer: str) -> Reply:
        own, query = self._settings, request.target.query
        text = [f"Name: {own.name}\n"] if own.name else []
        text.append(f"Hostname: {own.hostname}\n")
        text += [f"IP: {address}\n" for address in self._addresses()]
        text.append(f"RemoteAddr: {peer}\n")
        text += _echoed_head(request)
        body = _encode("".join(text)) + _echoed_body(request)
        if query_value(query, "env") in TRUE:
            body += _encode("".join([f"{key}={value}\n" for key, value in own.environ]))
        all_read = len(request.body) < KEPT_BODY
        return Reply(body, whole=all_read, delay=_seconds(query_value(query, "wait")))

    def _api(self, request: Request, peer: str) -> Reply:
        own, shown = self._settings, query_value(request.target.query, "env") in TRUE
        fields = {
            "hostname": own.hostname,
            "ip": list(self._addresses()),
            "headers": dict(sorted(request.headers.items())),
            "url": request.target.text,
            "host": request.host,
            "method": request.method,
            "name": own.name,
            "remoteAddr": peer,
            "environ": dict(sorted(own.environ)) if shown else {},
        }
        filled = {key: value for key, value in fields.items() if value}
        text = json.dumps(filled, ensure_ascii=False, separators=(",", ":"))
        body = _encode(text.translate(_JSON_ESCAPES) + "\n")
        return Reply(body, headers={"Content-Type": "application/json"})

    def _healthy(self, request: Request, peer: str) -> Reply:
        if request.method != "POST":
            if not 100 <= self._health <= 999:
                raise ValueError(f"invalid WriteHeader code {self._health}")
            return Reply(status=self._health)
        text = request.body.decode(errors="replace").strip(" \t\r\n")
        code = _JSON_INTEGER.match(text)
        if code is None and not text.startswith("null"):
            return error(400, _json_complaint(text))
        self._health = int(code[1]) if code else 0
        self._log(f"Update health check status code [{self._health}]")
        return Reply()

    def _bench(self, request: Request, peer: str) -> Reply:
        return Reply(b"1", headers={"Connection": "keep-alive", "Content-Type": "text/plain"})


def _asterisk(request: Request) -> Reply:
    if request.method == "OPTIONS":
        return Reply(headers={"Content-Length": "0"})
    return Reply(status=400, headers={"Connection": "close"})


def _moved(request: Request) -> Reply:
    """Go's redirect to the canonical form of a path."""
    _, _, canonical, query, _ = request.target
    where = f"{canonical}?{query}" if query else f"{canonical}"
    if request.method not in ("GET", "HEAD"):
        return Reply(status=301, headers={"Location": where})
    headers = {"Content-Type": "text/html; charset=utf-8", "Location": where}
    link = f'<a href="{where.translate(_HTML_ESCAPES)}">Moved Permanently</a>.\n\n'
    return Reply(_encode(link) if request.method == "GET" else b"", 301, headers)


def _echoed_head(request: Request) -> Iterator[str]:
    """Request line and headers as Go's http.Request.Write puts them."""
    agent = request.headers.get("User-Agent", ("Go-http-client/1.1",))[0]
    yield f"{request.method} {request.target.text} HTTP/1.1\r\n"
    yield f"Host: {_ZONE.sub('', request.host)}\r\n"
    if agent:
        yield f"User-Agent: {agent}\r\n"
    if request.closes and not request.connection("close"):
        yield "Connection: close\r\n"
    if request.length < 0:
        yield "Transfer-Encoding: chunked\r\n"
    elif request.length or request.method in ("POST", "PUT", "PATCH"):
        yield f"Content-Length: {request.length}\r\n"
    for name, values in sorted(request.headers.items()):
        if name not in ("User-Agent", "Content-Length", "Trailer"):
            yield from [f"{name}: {value}\r\n" for value in values]
    yield "\r\n"


def _echoed_body(request: Request) -> bytes:
    """Up to 511 bytes whole. With more, Go sends 512, then drops the rest of the request before
    the reply's head and finds nothing left to read (traefik/whoami issue 144)."""
    body = request.body
    if request.length < 0 and body:
        body = b"%x\r\n%b\r\n" % (len(body), body)
    if len(request.body) >= KEPT_BODY:
        return body + b"http: invalid Read on closed Body\n"
    return body + (b"0\r\n\r\n" if request.length < 0 else b"")


def _seconds(duration: str) -> float:
    """A Go duration in seconds; 0 if it is none, or negative."""
    parts = _DURATION_PART.findall(duration)
    if "".join([number + unit for number, unit in parts]) != duration.removeprefix("+"):
        return 0.0
    seconds: float = sum([float(number) * _SECONDS[unit] for number, unit in parts])
    return seconds if seconds < _LONGEST_DURATION else 0.0


def _json_complaint(text: str) -> str:
    """Why a body is no JSON integer, in the words of Go's encoding/json for the simple cases."""
    if not text:
        return "EOF"
    kind = _JSON_KINDS.get(text[0]) or (f"number {text.split()[0]}" if text[0] in _DIGITS else "")
    if kind:
        return f"json: cannot unmarshal {kind} into Go value of type int"
    return f"invalid character {text[0]!r} looking for beginning of value"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
