"""whoami, byte for byte. The table was checked against traefik/whoami built with Go 1.19."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from secondhop.errors import UsageError
from secondhop.lab.server import Connection, peer_name
from secondhop.lab.whoami import Whoami
from secondhop.lab.workloads import Settings, settings

ADDRESSES = ("127.0.0.1", "::1", "10.42.1.59", "fe80::d496:16ff:fe3d:5e74")
IPS = "".join(f"IP: {a}\n" for a in ADDRESSES)
WEB = Settings("web-0", environ=(("A", "1"), ("B", "x=y")))

OK = "HTTP/1.1 200 OK\r\n"
PLAIN = "Content-Type: text/plain; charset=utf-8\r\n"
ONE = "Content-Type: text/plain\r\nDate: D\r\nContent-Length: 1\r\n"
BENCH = f"{OK}Connection: keep-alive\r\n{ONE}\r\n1"
EMPTY = f"{OK}Date: D\r\nContent-Length: 0\r\n\r\n"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Lab:
    """A whoami on loopback, and what it logged. A complaint of the loop fails the test."""

    def __init__(self, settings: Settings, patience: float) -> None:
        self.lines: list[str] = []
        self.complaints: list[dict[str, Any]] = []
        self.whoami = Whoami(settings, lambda: ADDRESSES, self.lines.append, patience)
        self.connections: list[Connection] = []
        self.port = 0

    def connect(self) -> Connection:
        self.connections.append(self.whoami())
        return self.connections[-1]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, data: bytes, *, half_close: bool = True) -> str:
        """Everything it answers until it ends the connection, less what differs in each run."""
        reader, writer = await self.open()
        writer.write(data)
        if half_close:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return tidy(answer)


def tidy(answer: bytes) -> str:
    text = answer.decode("utf-8", "surrogateescape")
    text = re.sub("(Date|Last-Modified): [A-Z][a-z]{2}, [^\r]* GMT\r", r"\1: D\r", text)
    return re.sub(r"127\.0\.0\.1:\d+", "PEER", text)


def play(
    scene: Callable[[Lab], Awaitable[None]], settings: Settings = WEB, patience: float = 60
) -> Lab:
    """Runs a scene against a fresh server."""
    lab = Lab(settings, patience)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: lab.complaints.append(context))
        async with await loop.create_server(lab.connect, "127.0.0.1", 0) as server:
            lab.port = server.sockets[0].getsockname()[1]
            await scene(lab)
        for connection in lab.connections:
            connection._transport.abort()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert lab.complaints == []
    return lab


def ask(data: str | bytes, settings: Settings = WEB) -> str:
    answers = []

    async def scene(lab: Lab) -> None:
        answers.append(await lab.ask(data.encode() if isinstance(data, str) else data))

    play(scene, settings)
    return answers[0]


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1", body: str = "") -> str:
    lines = "".join(f"{h}\r\n" for h in ("Host: a", *headers))
    return f"{method} {path} HTTP/{version}\r\n{lines}\r\n{body}"


def identity(echo: str, top: str = "", end: str = "", proto: str = "1.1", tail: str = "") -> str:
    """The answer of `/`; end: the last headers of the reply; tail: what follows the echo."""
    body = f"{top}Hostname: web-0\n{IPS}RemoteAddr: PEER\n{echo}{tail}"
    length = len(body.encode("utf-8", "surrogateescape")) - len("PEER")
    head = f"HTTP/{proto} 200 OK\r\nDate: D\r\nContent-Length: LEN\r\n{PLAIN}{end}\r\n"
    return head.replace("LEN", str(length)) + body


def echo(
    first: str, *headers: str, agent: str | None = "Go-http-client/1.1", host: str = "a"
) -> str:
    agents = [] if agent is None else [f"User-Agent: {agent}"]
    return "".join(
        f"{x}\r\n" for x in (f"{first} HTTP/1.1", f"Host: {host}", *agents, *headers, "")
    )


def same(answer: str, wanted: str) -> None:
    """Compares, after taking the digits of the peer's port out of Content-Length."""
    port_digits = re.compile(r"(Content-Length: )(\d+)(\r\nContent-Type: text/plain; charset)")
    if "RemoteAddr" in wanted:
        whole = re.search(r"Content-Length: (\d+)", answer)
        meant = re.search(r"Content-Length: (\d+)", wanted)
        assert whole
        assert meant
        assert len("127.0.0.1:1") <= int(whole[1]) - int(meant[1]) <= len("127.0.0.1:65535")
        answer, wanted = port_digits.sub(r"\1N\3", answer), port_digits.sub(r"\1N\3", wanted)
    assert answer == wanted


def refusal(status: str, text: str = "") -> str:
    return f"HTTP/1.1 {status}\r\n{PLAIN}Connection: close\r\n\r\n{text or status}"


def problem(status: str, text: str, *more: str) -> str:
    lines = "".join(f"{line}\r\n" for line in more)
    head = f"HTTP/1.1 {status}\r\n{lines}{PLAIN}X-Content-Type-Options: nosniff\r\nDate: D\r\n"
    return f"{head}Content-Length: {len(text) + 1}\r\n\r\n{text}\n"


IDENTITIES = {
    "curl": (
        get("/", "User-Agent: curl/8.7.1", "Accept: */*"),
        echo("GET /", "Accept: */*", agent="curl/8.7.1"),
    ),
    "no agent": (get("/"), echo("GET /")),
    "empty agent": (get("/", "User-Agent:"), echo("GET /", agent=None)),
    "two agents": (get("/", "User-Agent: x", "User-Agent: y"), echo("GET /", agent="x")),
    "sorted, canonical, in order": (
        get("/", "x-b: 2", "X-A:1", "x-B:  3  ", "X_y: u", "1x-9fOo: z", "accept: q"),
        echo("GET /", "1x-9foo: z", "Accept: q", "X-A: 1", "X-B: 2", "X-B: 3", "X_y: u"),
    ),
    "folded": (get("/", "X: a", "  b", "\tc"), echo("GET /", "X: a b c")),
    "bytes that are no text": (
        get("/?\udcff", "X: \udc80é"),
        echo("GET /?\udcff", "X: \udc80é"),
    ),
    "newlines only": ("GET / HTTP/1.1\nHost: a\nX: y\n\n", echo("GET /", "X: y")),
    "later version": (get("/", version="1.2"), echo("GET /")),
    "own method": (get("/", method="get"), echo("get /")),
    "pragma": (
        get("/", "Pragma: no-cache"),
        echo("GET /", "Cache-Control: no-cache", "Pragma: no-cache"),
    ),
    "upgrade ignored": (
        get("/", "Connection: Upgrade", "Upgrade: h2c"),
        echo("GET /", "Connection: Upgrade", "Upgrade: h2c"),
    ),
    "other path": (get("/api/"), echo("GET /api/")),
    "bad wait": (get("/?wait=zz"), echo("GET /?wait=zz")),
    "negative wait": (get("/?wait=-5s"), echo("GET /?wait=-5s")),
    "encoded": (get('/a"b'), echo("GET /a%22b")),
    "encoded slash": (get("/a%2Fb"), echo("GET /a%2Fb")),
    "all encoded": (get("/;b[c]!$&'()*+,=:@{"), echo("GET /;b%5Bc%5D%21$&%27%28%29%2A+,=:@%7B")),
    "not ASCII": (get("/é?é"), echo("GET /%C3%A9?é")),
    "fragment": (get("/a#b?c#d"), echo("GET /a%23b?c#d")),
    "empty query": (get("/a?"), echo("GET /a?")),
    "absolute": (get("http://u:p@h:8/p?q=1"), echo("GET /p?q=1", host="h:8")),
    "empty host": ("GET / HTTP/1.1\r\nHost:\r\n\r\n", echo("GET /", host="")),
    "zone": (
        "GET / HTTP/1.1\r\nHost: [fe80::1%25en0]:80\r\n\r\n",
        echo("GET /", host="[fe80::1]:80"),
    ),
    "body": (
        get("/", "Content-Length: 5", method="POST", body="hello"),
        echo("POST /", "Content-Length: 5") + "hello",
    ),
    "body of a GET": (
        get("/", "Content-Length: 5", body="hello"),
        echo("GET /", "Content-Length: 5") + "hello",
    ),
    "length twice": (
        get("/", "Content-Length: 2", "Content-Length: 2", body="ab"),
        echo("GET /", "Content-Length: 2") + "ab",
    ),
    "no body in a POST": (get("/", method="POST"), echo("POST /", "Content-Length: 0")),
    "empty body in a DELETE": (get("/", "Content-Length: 0", method="DELETE"), echo("DELETE /")),
    "chunked": (
        get(
            "/", "Transfer-Encoding: Chunked", body="3\r\nabc\r\n02 ;x=y\r\nde\r\n0\r\nT: u\r\n\r\n"
        ),
        echo("GET /", "Transfer-Encoding: chunked") + "5\r\nabcde\r\n0\r\n\r\n",
    ),
    "chunked over length": (
        get("/", "Transfer-Encoding: chunked", "Content-Length: 9", body="0\r\n\r\n"),
        echo("GET /", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    ),
    "expect": (
        get("/", "Expect: 100-continue", "Content-Length: 2", body="ab"),
        echo("GET /", "Content-Length: 2", "Expect: 100-continue") + "ab",
    ),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name: str) -> None:
    request, echoed = IDENTITIES[name]
    same(ask(request.encode("utf-8", "surrogateescape")), identity(echoed))


def test_identity_as_the_reference_experiment_shows_it() -> None:
    answer = ask(
        "GET / HTTP/1.1\r\nHost: 172.17.26.70:30316\r\nUser-Agent: curl/8.7.1\r\n"
        "Accept: */*\r\n\r\n"
    )
    assert answer.partition("\r\n\r\n")[2] == (
        "Hostname: web-0\nIP: 127.0.0.1\nIP: ::1\nIP: 10.42.1.59\nIP: fe80::d496:16ff:fe3d:5e74\n"
        "RemoteAddr: PEER\nGET / HTTP/1.1\r\nHost: 172.17.26.70:30316\r\nUser-Agent: curl/8.7.1\r\n"
        "Accept: */*\r\n\r\n"
    )


def test_name_and_environment() -> None:
    named = Settings("web-0", name="blue", environ=WEB.environ)
    wanted = identity(echo("GET /?env=true"), top="Name: blue\n", tail="A=1\nB=x=y\n")
    same(ask(get("/?env=true"), named), wanted)


def test_connection_close_and_http_1_0() -> None:
    close, alive = "Connection: close\r\n", "Connection: keep-alive\r\n"
    request = get("/", "Connection: close")
    same(ask(request * 2), identity(echo("GET /", "Connection: close"), end=close))
    echoed = echo("GET /", "Connection: close")
    same(ask(get("/", version="1.0") * 2), identity(echoed, proto="1.0"))
    answer = ask(get("/", "Connection: keep-alive", version="1.0") * 2)
    wanted = identity(echo("GET /", "Connection: keep-alive"), end=alive, proto="1.0")
    same(answer[: len(answer) // 2], wanted)
    same(answer[len(answer) // 2 :], wanted)
    same(
        ask("GET / HTTP/1.0\r\n\r\n"),
        identity(echo("GET /", "Connection: close", host=""), proto="1.0"),
    )


BENCH_10 = f"HTTP/1.0 200 OK\r\n{ONE}\r\n1"
FILE = "Accept-Ranges: bytes\r\nContent-Disposition: Attachment\r\n"
FILE_END = f"{PLAIN}Last-Modified: D\r\nDate: D\r\n\r\n"
DISPOSITION = "Content-Disposition: Attachment"


def moved(where: str) -> str:
    body = f'<a href="{where.replace("&", "&amp;")}">Moved Permanently</a>.\n\n'
    head = "HTTP/1.1 301 Moved Permanently\r\nContent-Type: text/html; charset=utf-8\r\n"
    return f"{head}Location: {where}\r\nDate: D\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def text(body: str, end: str = "") -> str:
    return f"{OK}Date: D\r\nContent-Length: {len(body)}\r\n{PLAIN}{end}\r\n{body}"


def chunked(*chunks: str) -> str:
    framed = "".join(f"{len(c):x}\r\n{c}\r\n" for c in (*chunks, ""))
    return f"{OK}Date: D\r\n{PLAIN}Transfer-Encoding: chunked\r\n\r\n{framed}"


def part(span: str, body: str) -> str:
    lines = f"{FILE}Content-Length: {len(body)}\r\nContent-Range: bytes {span}\r\n{FILE_END}"
    return f"HTTP/1.1 206 Partial Content\r\n{lines}{body}"


def whole_file(body: str) -> str:
    return f"{OK}{FILE}Content-Length: {len(body)}\r\n{FILE_END}{body}"


def attachment(size: int, *headers: str) -> str:
    return get(f"/data?attachment=1&size={size}", *headers)


def health(body: str) -> str:
    return get("/health", f"Content-Length: {len(body)}", method="POST", body=body)


BIG = (f"|{LETTERS}" + f"-{LETTERS}" * 30)[:599] + "|"
UNMARSHAL = "json: cannot unmarshal {} into Go value of type int"
NO_OVERLAP = "invalid range: failed to overlap"

ANSWERS = {
    # /bench, /health, methods and connections
    "pipeline": (get("/bench") * 2 + get("/health"), BENCH * 2 + EMPTY),
    "bench, close": (
        get("/bench", "Connection: close"),
        f"{OK}{ONE}Connection: close\r\n\r\n1",
    ),
    "bench, 1.0": (get("/bench", version="1.0") * 2, BENCH_10),
    "bench, 1.0 kept": (
        get("/bench", "Connection: Keep-Alive", version="1.0") * 2,
        BENCH.replace("HTTP/1.1", "HTTP/1.0") * 2,
    ),
    "health, close": (
        get("/health", "Connection: x, CLOSE"),
        EMPTY.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    ),
    "head": (
        get("/bench", method="HEAD") + get("/health", method="HEAD"),
        BENCH[:-1] + f"{OK}Date: D\r\n\r\n",
    ),
    "body dropped": (
        get("/bench", "Content-Length: 100000", method="POST", body="x" * 100000) + get("/bench"),
        BENCH * 2,
    ),
    "newline after a POST": (
        get("/bench", "Content-Length: 1", method="POST", body="a\r\n") + get("/bench"),
        BENCH * 2,
    ),
    "newline after a GET": (
        get("/bench") + "\r\n" + get("/bench"),
        BENCH + refusal("400 Bad Request"),
    ),
    "options": (get("*", method="OPTIONS"), f"{OK}Content-Length: 0\r\nDate: D\r\n\r\n"),
    "asterisk": (
        get("*"),
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nDate: D\r\nContent-Length: 0\r\n\r\n",
    ),
    "connect": (get("a:80", method="CONNECT"), problem("404 Not Found", "404 page not found")),
    # /health as it is set
    "sick": (
        health("503") + get("/health") + get("/health", method="HEAD"),
        EMPTY + "HTTP/1.1 503 Service Unavailable\r\nDate: D\r\nContent-Length: 0\r\n\r\n"
        "HTTP/1.1 503 Service Unavailable\r\nDate: D\r\n\r\n",
    ),
    "no such status": (
        health(" 299 x") + get("/health"),
        EMPTY + "HTTP/1.1 299 status code 299\r\nDate: D\r\nContent-Length: 0\r\n\r\n",
    ),
    "no content": (
        health("204") + get("/health"),
        EMPTY + "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n",
    ),
    "interim": (health("103") + get("/health"), f"{EMPTY}HTTP/1.1 103 Early Hints\r\n\r\n{EMPTY}"),
    "too small": (health("99") + get("/health"), EMPTY),
    "too large": (health("1000") + get("/health"), EMPTY),
    "null": (health("null") + get("/health"), EMPTY),
    "health, empty": (health(""), problem("400 Bad Request", "EOF")),
    "health, word": (
        health("x"),
        problem("400 Bad Request", "invalid character 'x' looking for beginning of value"),
    ),
    "health, string": (health('"a"'), problem("400 Bad Request", UNMARSHAL.format("string"))),
    "health, list": (health("[1]"), problem("400 Bad Request", UNMARSHAL.format("array"))),
    "health, float": (health("1.5"), problem("400 Bad Request", UNMARSHAL.format("number 1.5"))),
    # redirects
    "two slashes": (get("//a?x&y"), moved("/a?x&y")),
    "dots": (get("/a/../b/./"), moved("/b/")),
    "above": (get("/.."), moved("/")),
    "no path": (get("http://h"), moved("/")),
    "moved POST": (
        get("//a", method="POST"),
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /a\r\nDate: D\r\nContent-Length: 0\r\n\r\n",
    ),
    # /data
    "data": (get("/data") + get("/data?size=0") + get("/data?size=1"), EMPTY * 3),
    "data, bad size": (
        get("/data?size=x") + get("/data?size=-3") + get("/data?size=9;"),
        EMPTY * 3,
    ),
    "data, small": (get("/data?size=2") + get("/data?size=%2B3"), text("||") + text("|A|")),
    "data, 40": (get("/data?size=40&size=2&unit=b"), text(f"|{LETTERS}-ABCDEFGHIJK|")),
    "data, large": (get("/data?size=600"), chunked(BIG)),
    "data, head": (get("/data?size=3", method="HEAD"), text("|A|")[:-3]),
    "data, 1.0": (
        get("/data?size=600", "Connection: keep-alive", version="1.0") * 2,
        f"HTTP/1.0 200 OK\r\nDate: D\r\n{PLAIN}\r\n{BIG}",
    ),
    "file": (attachment(40), whole_file(f"|{LETTERS}-ABCDEFGHIJ|")),
    "file, one byte": (attachment(1), whole_file("")),
    "file, none": (
        attachment(0),
        problem("500 Internal Server Error", "seeker can't seek", DISPOSITION),
    ),
    "range": (attachment(40, "Range: bytes=0-4"), part("0-4/39", "|ABCD")),
    "range, middle": (attachment(40, "Range: bytes= 5 - 9 ,"), part("5-9/39", "EFGHI")),
    "range, open": (attachment(40, "Range: bytes=30-"), part("30-38/39", "CDEFGHIJ|")),
    "range, suffix": (attachment(40, "Range: bytes=-5"), part("34-38/39", "GHIJ|")),
    "range, long suffix": (attachment(3, "Range: bytes=-500"), part("0-1/2", "||")),
    "range, no suffix": (attachment(40, "Range: bytes=-0"), part("39-38/39", "")),
    "range, past": (attachment(40, "Range: bytes=38-100"), part("38-38/39", "|")),
    "range, one of two": (attachment(40, "Range: bytes=0-1,50-60"), part("0-1/39", "|A")),
    "range, outside": (
        attachment(40, "Range: bytes=39-"),
        problem(
            "416 Requested Range Not Satisfiable",
            NO_OVERLAP,
            DISPOSITION,
            "Content-Range: bytes */39",
        ),
    ),
    "range, bad": (
        attachment(40, "Range: foo")
        + attachment(40, "Range: bytes=9-5")
        + attachment(40, "Range: bytes=-"),
        problem("416 Requested Range Not Satisfiable", "invalid range", DISPOSITION) * 3,
    ),
    "range, if": (attachment(3, "Range: bytes=0-0", "If-Range: x"), whole_file("||")),
    "range, empty": (
        attachment(3, "Range: bytes=,") + attachment(3, "Range:"),
        whole_file("||") * 2,
    ),
    # not built
    "echo": (
        get("/echo"),
        problem("501 Not Implemented", "secondhop's whoami does not answer /echo"),
    ),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refusal("501 Not Implemented")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(name: str) -> None:
    request, wanted = ANSWERS[name]
    assert ask(request) == wanted


@pytest.mark.parametrize("path", ["/openapi.yaml", "/whoami.Whoami/Bench", "/whoami.Whoami/%ff"])
def test_not_built(path: str) -> None:
    assert ask(get(path)).startswith("HTTP/1.1 501 Not Implemented\r\n")


BAD = refusal("400 Bad Request")
TOO_LARGE = refusal("431 Request Header Fields Too Large")
VERSION = refusal("505 HTTP Version Not Supported: unsupported protocol version")
NAME = refusal("400 Bad Request: invalid header name")
VALUE = refusal("400 Bad Request: invalid header value")

REFUSED = {
    "garbage\r\n": BAD,
    "\r\n": BAD,
    "\x00\x01\n": BAD,
    "GET": BAD,
    "GET /\r\n": BAD,
    "GET  / HTTP/1.1\r\n": BAD,
    "GET / x HTTP/1.1\r\n": BAD,
    "GET / HTTP/1.1 \r\n": BAD,
    " GET / HTTP/1.1\r\n": BAD,
    "G(T / HTTP/1.1\r\n": BAD,
    "get / http/1.1\r\n": BAD,
    "GET / HTTP/1.10\r\n": BAD,
    "GET / HTTP/2.0\r\n": VERSION,
    "GET / HTTP/0.9\r\n": VERSION,
    "GET / HTTP/1.1\r\nHos": BAD,
    get("foo"): BAD,
    get("/%zz"): BAD,
    get("/\x01"): BAD,
    get("http://[x/"): BAD,
    "GET / HTTP/1.1\r\n\r\n": refusal("400 Bad Request: missing required Host header"),
    "GET http://h/ HTTP/1.1\r\n\r\n": refusal("400 Bad Request: missing required Host header"),
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n": refusal("400 Bad Request: malformed Host header"),
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n": BAD,
    get("/", "Host: b"): BAD,
    get("/", "foo"): BAD,
    get("/", "X : y"): NAME,
    get("/", "X(: y"): NAME,
    get("/", ": y"): NAME,
    get("/", "X: a\x00b"): VALUE,
    get("/", "X: a\rb"): VALUE,
    get("/", "Transfer-Encoding: gzip"): refusal(
        "501 Not Implemented", "Unsupported transfer encoding"
    ),
    get("/", "Transfer-Encoding: chunked", body="zz\r\n"): BAD,
    get("/", "Transfer-Encoding: chunked", body="1\r\nabc\r\n0\r\n\r\n"): BAD,
    get("/", "Transfer-Encoding: chunked", body="1" * 5000): BAD,
    get("/", "Content-Length: 2", "Content-Length: 3", body="abc"): BAD,
    get("/", "Content-Length: x"): BAD,
    get("/", "Content-Length: -1"): BAD,
    get("/", "Content-Length: 99999999999999999999"): BAD,
    get("/", "Content-Length: 10", body="short"): BAD,
    get("/", "Expect: tea"): refusal("417 Expectation Failed"),
}


@pytest.mark.parametrize("request_text", REFUSED)
def test_refused(request_text: str) -> None:
    assert ask(request_text) == REFUSED[request_text]


def test_a_bad_request_line_is_refused_before_the_headers_are_there() -> None:
    async def scene(lab: Lab) -> None:
        assert await lab.ask(b"garbage\n", half_close=False) == BAD

    play(scene)


def test_the_head_is_bounded() -> None:
    assert ask("GET /" + "a" * (2 << 20)) == TOO_LARGE
    assert ask(get("/bench", "X: " + "a" * (2 << 20))) == TOO_LARGE
    assert ask(get("/bench", "X: " + "a" * (1 << 20))) == BENCH


def test_no_request_is_long_in_the_reading() -> None:
    blank, digits = " " * 1_000_000, "1" * 1_000_000
    started = time.process_time()
    ask(get("/", f"X: a{blank}b"))
    ask(get("/", "X: a", *[" b"] * 200_000))
    ask(get(f"/?wait={digits}"))
    ask(get(f"/data?size={digits}"))
    ask(get("/?wait=" + "&" * 1_000_000))
    ask(get("/" + "a/" * 500_000 + "?"))
    ask(attachment(40, f"Range: bytes=1{blank}-{blank[:10]}x"))
    ask(f"GET / HTTP/1.1\r\nHost: [{'%' * 1_000_000}]\r\n\r\n")
    assert time.process_time() - started < 60, "what is not linear takes hours"


def test_a_long_answer_is_chunked() -> None:
    head, _, framed = ask(get("/", "X: " + "y" * 3000)).partition("\r\n\r\n")
    assert head == f"{OK}Date: D\r\n{PLAIN}Transfer-Encoding: chunked"
    size, _, rest = framed.partition("\r\n")
    assert int(size, 16) > 3000
    assert rest.endswith("y\r\n\r\n\r\n0\r\n\r\n")
    head = ask(get("/", "X: " + "y" * 3000, method="HEAD"))
    assert head == f"{OK}Date: D\r\n{PLAIN}\r\n"


def test_an_answer_that_is_no_text_says_so() -> None:
    answer = ask(get("/", "Content-Length: 2", body="\x00\x01"))
    assert "\r\nContent-Type: application/octet-stream\r\n" in answer


def test_a_longer_body_comes_back_as_the_original_sends_it() -> None:
    long = "x" * 512
    for size in (512, 2000, 100000):
        request = get("/", f"Content-Length: {size}", body="x" * size) + get("/bench")
        answer = ask(request)
        assert "\r\nTransfer-Encoding: chunked\r\n" in answer
        assert f"\r\n\r\n{long}http: invalid Read on closed Body\n\r\n0\r\n\r\n{BENCH}" in answer


def test_too_long_a_body_ends_the_connection() -> None:
    request = get("/bench", "Content-Length: 500000", method="POST", body="x" * 500000)
    wanted = f"{OK}{ONE}Connection: close\r\n\r\n1"
    assert ask(request + get("/bench")) == wanted
    chunk = f"{300000:x}\r\n" + "x" * 300000
    assert ask(get("/bench", "Transfer-Encoding: chunked", body=chunk)) == wanted


API = {
    get("/api"): '"url":"/api","host":"a","method":"GET","remoteAddr":"PEER"}',
    get("/api", method="PUT"): '"url":"/api","host":"a","method":"PUT","remoteAddr":"PEER"}',
    get("/%61pi"): '"url":"/%61pi","host":"a","method":"GET","remoteAddr":"PEER"}',
    get("http://zz/api?q"): '"url":"/api?q","host":"zz","method":"GET","remoteAddr":"PEER"}',
    get("/api?env=1"): (
        '"url":"/api?env=1","host":"a","method":"GET","remoteAddr":"PEER",'
        '"environ":{"A":"1","B":"x=y"}}'
    ),
    get("/api?x&y=%3c", "b: 2", 'A: a<b>&"\\\udcff\u2028\t é', "a: 1"): (
        r'"headers":{"A":["a\u003cb\u003e\u0026\"\\\ufffd\u2028\t é","1"],"B":["2"]},'
        r'"url":"/api?x\u0026y=%3c","host":"a","method":"GET","remoteAddr":"PEER"}'
    ),
}


@pytest.mark.parametrize("request_text", API)
def test_api(request_text: str) -> None:
    head, _, body = ask(request_text.encode("utf-8", "surrogateescape")).partition("\r\n\r\n")
    assert re.fullmatch(
        f"{OK}Content-Type: application/json\r\nDate: D\r\nContent-Length: \\d+", head
    )
    ips = '"ip":["127.0.0.1","::1","10.42.1.59","fe80::d496:16ff:fe3d:5e74"]'
    assert body == f'{{"hostname":"web-0",{ips},{API[request_text]}\n'


def test_wait_delays_and_keeps_the_order() -> None:
    async def scene(lab: Lab) -> None:
        started = time.monotonic()
        answer = await lab.ask((get("/?wait=50ms") + get("/?wait=.05s") + get("/bench")).encode())
        assert 0.1 <= time.monotonic() - started < 3
        assert answer.endswith(BENCH)

    play(scene)


def test_a_client_that_leaves_while_it_waits_is_forgotten() -> None:
    async def scene(lab: Lab) -> None:
        _, writer = await lab.open()
        writer.write(get("/?wait=1000h").encode())
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()
        assert await lab.ask(get("/bench").encode()) == BENCH

    play(scene)


def test_expect_is_answered_when_the_body_is_held_back() -> None:
    async def scene(lab: Lab) -> None:
        reader, writer = await lab.open()
        writer.write(get("/bench", "Expect: 100-continue", "Content-Length: 1").encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x")
        assert tidy(await reader.readuntil(b"\r\n\r\n1")) == BENCH
        writer.close()

    play(scene)


def test_slow_clients_are_cut() -> None:
    async def cut(lab: Lab, data: bytes) -> None:
        reader, writer = await lab.open()
        writer.write(data)

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 1)
        dripping.cancel()
        writer.transport.abort()

    async def scene(lab: Lab) -> None:
        await asyncio.gather(
            cut(lab, b""),
            cut(lab, b"GET /"),
            cut(lab, get("/", "Content-Length: 5000").encode()),
            cut(lab, get("/bench").encode()),
        )

    play(scene, patience=0.2)


def test_a_client_that_takes_nothing_holds_little_and_is_cut() -> None:
    async def scene(lab: Lab) -> None:
        reader, writer = await lab.open()
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(get("/data?size=1&unit=tb").encode())
        await asyncio.sleep(0.1)
        started = time.monotonic()
        assert await lab.ask(get("/bench").encode()) == BENCH
        assert time.monotonic() - started < 1
        await asyncio.sleep(0.4)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1 << 30)
        writer.close()

    play(scene, patience=0.2)


def test_a_flood_delays_nobody() -> None:
    async def scene(lab: Lab) -> None:
        reader, writer = await lab.open()
        writer.write(get("/data?size=1&unit=tb").encode())

        async def drain() -> None:
            while await reader.read(1 << 20):
                pass

        draining = asyncio.create_task(drain())
        _, pipeliner = await lab.open()
        pipeliner.write(get("/").encode() * 20000)
        started = time.monotonic()
        for _ in range(10):
            assert await lab.ask(get("/bench").encode()) == BENCH
        assert time.monotonic() - started < 2
        draining.cancel()
        writer.transport.abort()
        pipeliner.transport.abort()

    play(scene)


def test_what_waits_to_be_read_is_bounded() -> None:
    async def scene(lab: Lab) -> None:
        _, writer = await lab.open()
        writer.write(get("/?wait=10s").encode())
        await asyncio.sleep(0.02)

        async def flood() -> None:
            while True:
                writer.write(b"x" * 100_000)
                await writer.drain()

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.1)
        stuck = writer.transport.get_write_buffer_size()
        await asyncio.sleep(0.1)
        assert 0 < stuck == writer.transport.get_write_buffer_size()
        flooding.cancel()
        writer.transport.abort()

    play(scene)


def test_health_belongs_to_the_server() -> None:
    async def scene(lab: Lab) -> None:
        await lab.ask(health("404").encode())
        assert "HTTP/1.1 404 Not Found" in await lab.ask(get("/health").encode())

    assert play(scene).lines == ["Starting up on port 80", "Update health check status code [404]"]
    assert ask(get("/health")) == EMPTY


def test_a_failing_handler_costs_its_own_connection_only() -> None:
    async def scene(lab: Lab) -> None:
        def broken() -> tuple[str, ...]:
            raise OSError("no such namespace")

        lab.whoami._addresses = broken
        assert await lab.ask(get("/").encode()) == ""
        assert await lab.ask(get("/bench").encode()) == BENCH

    assert "no such namespace" in play(scene).lines[1]


def test_verbose_logs_each_request() -> None:
    async def scene(lab: Lab) -> None:
        await lab.ask((get("/a%ffb?c") + get("/bench", method="HEAD")).encode())

    lines = play(scene, Settings("web-0", port=8080, verbose=True)).lines
    when = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000"
    assert lines[0] == "Starting up on port 8080"
    assert re.fullmatch(rf'127.0.0.1:\d+ - - \[{when}\] "GET /a\ufffdb HTTP/1.1" - -', lines[1])
    assert lines[2].endswith('"HEAD /bench HTTP/1.1" - -')


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl() -> None:
    async def curl(lab: Lab, *args: str) -> str:
        url = f"http://127.0.0.1:{lab.port}"
        process = await asyncio.create_subprocess_exec(
            "curl",
            "-s",
            *[a.replace("URL", url) for a in args],
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return out.decode()

    async def scene(lab: Lab) -> None:
        assert "GET / HTTP/1.1\r\n" in await curl(lab, "URL")
        assert "GET / HTTP/1.1\r\n" in await curl(lab, "--http1.0", "URL")
        assert await curl(lab, "URL/bench", "URL/bench") == "11"
        assert await curl(lab, "-r", "5-9", "URL/data?size=40&attachment=1") == "EFGHI"
        assert len(await curl(lab, "URL/data?size=1&unit=mb")) == 1 << 20
        assert "-X-" not in await curl(lab, "-d", "503", "URL/health")
        assert await curl(lab, "-o", "/dev/null", "-w", "%{http_code}", "URL/health") == "503"
        upload = ("-H", "Transfer-Encoding: chunked", "-d", "hello", "URL/")
        assert (await curl(lab, *upload)).endswith("\r\n5\r\nhello\r\n0\r\n\r\n")

    play(scene)


@pytest.mark.parametrize(
    ("args", "env", "wanted"),
    [
        ([], {}, Settings("h")),
        (["-port", "8080"], {}, Settings("h", 8080)),
        (["--port=8080", "-name=x=y"], {}, Settings("h", 8080, "x=y")),
        (["-port=1", "-port=2"], {}, Settings("h", 2)),
        (["-name", "-verbose"], {}, Settings("h", name="-verbose")),
        (["-verbose", "-name", "n"], {}, Settings("h", name="n", verbose=True)),
        (["--verbose=f", "-name="], {"WHOAMI_NAME": "n"}, Settings("h")),
        (["-verbose", "true", "-port", "x"], {}, Settings("h", verbose=True)),
        (["--", "-port", "x"], {}, Settings("h")),
        (["-", "-port", "x"], {}, Settings("h")),
        ([], {"WHOAMI_PORT_NUMBER": "81", "WHOAMI_NAME": "n"}, Settings("h", 81, "n")),
        (["-port", "82"], {"WHOAMI_PORT_NUMBER": "x"}, Settings("h", 82)),
        ([], {"WHOAMI_PORT_NUMBER": ""}, Settings("h")),
    ],
)
def test_settings(args: list[str], env: dict[str, str], wanted: Settings) -> None:
    got = settings("h", args, tuple(env.items()))
    assert got == Settings("h", wanted.port, wanted.name, wanted.verbose, tuple(env.items()))


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["-port"], "flag needs an argument: -port"),
        (["-port", "http"], 'port "http"'),
        (["-port=0"], 'port "0"'),
        (["-port=65536"], 'port "65536"'),
        (["-prot", "80"], "flag provided but not defined: -prot"),
        (["-verbose=maybe"], 'invalid boolean value "maybe" for -verbose'),
        (["---port"], "bad flag syntax: ---port"),
        (["-=x"], "bad flag syntax: -=x"),
        (["-cert", "x"], "-cert"),
        (["--key=x"], "-key"),
        (["-cacert"], "-cacert"),
    ],
)
def test_bad_settings(args: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        settings("h", args, ())


def test_the_last_of_two_variables_counts() -> None:
    got = settings("h", (), (("WHOAMI_NAME", "a"), ("WHOAMI_NAME", "b")))
    assert (got.name, got.environ) == ("b", (("WHOAMI_NAME", "b"),))


def test_peers_are_written_as_go_writes_them() -> None:
    assert peer_name(("10.42.0.0", 18798)) == "10.42.0.0:18798"
    assert peer_name(("fd00::1", 80)) == "[fd00::1]:80"
    assert peer_name(("::ffff:10.42.0.1", 80)) == "10.42.0.1:80"
