"""The HTTP reader under any cut of its bytes, and under bytes that are no HTTP."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from secondhop.lab.http import MAX_BODY, MAX_HEAD, Reader, Refused, Request
from secondhop.lab.whoami import Whoami
from secondhop.lab.workloads import Settings

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /data?size=600 HTTP/1.1\nHost: a\nX: y\n z\n\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n404\r\n",
    b"PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"HEAD /bench HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET //x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"nonsense\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
]
FRAGMENTS = [
    *REQUESTS,
    *(
        b"GET",
        b" ",
        b"/",
        b"*",
        b"//..",
        b"%",
        b"?",
        b"http://",
        b"HTTP/1.1",
        b"\r",
        b"\n",
        b"\r\n",
    ),
    *(b"\r\n\r\n", b":", b"Host: a\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"Expect: 100-continue\r\n",
        b"Range: bytes=",
        b"\x00",
        b"\xff",
        b"0",
        b"fff",
        b"99",
        b"-",
        b",",
    ),
]

streams = st.lists(st.sampled_from(REQUESTS), max_size=5).map(b"".join)
garbage = st.one_of(
    st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join)
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def read(parts: list[bytes]) -> tuple[list[Request], bytes]:
    """The requests in these bytes, and the answer with which they were refused, if they were."""
    reader, requests = Reader(), []
    try:
        for part in parts:
            reader.feed(part)
            while (request := reader.next()) is not None:
                requests.append(request)
    except Refused as refusal:
        return requests, refusal.answer
    return requests, b""


@given(st.one_of(streams, garbage), st.lists(st.integers(0, 2000)))
def test_requests_do_not_depend_on_how_they_are_cut(data: bytes, cuts: list[int]) -> None:
    assert read(pieces(data, cuts)) == read([data])


@given(streams)
def test_byte_by_byte(data: bytes) -> None:
    assert read([data[i : i + 1] for i in range(len(data))]) == read([data])


def test_the_reader_holds_little() -> None:
    reader = Reader()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n"
    reader.feed(head)
    assert reader.next() is None
    for _ in range(1000):
        reader.feed(b"x" * 1024)
        if (request := reader.next()) is not None:
            break
    assert request is not None
    assert (len(request.body), request.size) == (512, MAX_BODY + 1)


def test_a_head_of_any_cut_is_refused_at_the_same_length() -> None:
    for size in (MAX_HEAD - 1, MAX_HEAD):
        start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
        head = start + b"y" * (size - len(start) - 3) + b"\n\r\n"
        cut = [head[i : i + 65536] for i in range(0, len(head), 65536)]
        whole = read([head])
        assert read(cut) == whole
        assert len(whole[0]) == 1
    over = [b"z" * MAX_HEAD]
    assert read(over)[1].startswith(b"HTTP/1.1 431 ")


class Wire(asyncio.Transport):
    """A transport that keeps what is written and takes it all."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.42.0.0", 18798)})
        self.sent = b""
        self.over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0

    def write_eof(self) -> None:
        self.over = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.over = True

    def abort(self) -> None:
        self.over = True


def answers(parts: list[bytes]) -> tuple[bytes, bool]:
    """What whoami sends back, and whether it ended the connection, if the client sends this."""

    async def main() -> tuple[bytes, bool]:
        wire = Wire()
        connection = Whoami(Settings("web-0"), lambda: ["::1"], lambda _: None)()
        connection.connection_made(wire)
        for part in parts:
            connection.data_received(part)
            await asyncio.sleep(0)
        connection.eof_received()
        for _ in range(1000):
            if wire.over:
                break
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire.sent, wire.over

    return asyncio.run(main())


@settings(max_examples=200, deadline=None)
@given(streams, st.lists(st.integers(0, 2000), max_size=10))
def test_answers_do_not_depend_on_how_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    def undated(sent: tuple[bytes, bool]) -> list[bytes]:
        return [line for line in sent[0].split(b"\r\n") if not line.startswith(b"Date: ")]

    assert undated(answers(pieces(data, cuts))) == undated(answers([data]))


@settings(max_examples=300, deadline=None)
@given(garbage, st.lists(st.integers(0, 2000), max_size=5))
def test_garbage_is_answered_and_the_connection_ends(data: bytes, cuts: list[int]) -> None:
    sent, over = answers(pieces(data, cuts))
    assert over
    assert sent == b"" or sent.startswith(b"HTTP/1.")
