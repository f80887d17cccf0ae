"""Logs: whole lines, the latest megabyte, following."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from secondhop.apiserver.agent import LogOptions
from secondhop.lab.log import Log

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read(log: Log, options: LogOptions) -> bytes:
    async def all_of_it() -> bytes:
        return b"".join([piece async for piece in log.read(options)])

    return asyncio.run(all_of_it())


def log_of(*pieces: bytes) -> Log:
    log = Log(lambda: NOON)
    for piece in pieces:
        log.write(piece)
    log.end()
    return log


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), b"one\ntwo\nthree"),
        (LogOptions(tail=1), b"three"),
        (LogOptions(tail=0), b""),
        (LogOptions(tail=9), b"one\ntwo\nthree"),
        (LogOptions(tail=2, timestamps=True), b"2026-01-01T12:00:00.000000000Z two\n"
         b"2026-01-01T12:00:00.000000000Z three"),
        (LogOptions(follow=True), b"one\ntwo\nthree"),
    ],
)  # fmt: skip
def test_the_lines_that_are_asked_for(options: LogOptions, text: bytes) -> None:
    assert read(log_of(b"one\ntw", b"o\nthr", b"ee"), options) == text


def test_lines_of_the_last_seconds() -> None:
    times = [NOON, NOON + timedelta(seconds=50), NOON + timedelta(seconds=60)]
    clock = iter(times)
    log = Log(lambda: next(clock))
    log.write(b"old\n")
    log.write(b"new\n")
    assert read(log, LogOptions(since_seconds=30)) == b"new\n"


def test_only_the_latest_megabyte_is_kept() -> None:
    log = Log()
    for number in range(200_000):
        log.write(b"line %6d\n" % number)
    log.end()
    kept = read(log, LogOptions())
    assert len(kept) <= 1 << 20
    assert kept.endswith(b"line 199999\n")


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    log = Log()
    for _ in range(100):
        log.write(b"x" * 1000)
    assert read(log, LogOptions()).count(b"\n") == 6


def test_following_misses_nothing() -> None:
    async def body() -> bytes:
        log = Log()
        log.write(b"0\n")
        heard: list[bytes] = []

        async def follow() -> None:
            async for piece in log.read(LogOptions(follow=True)):
                heard.append(piece)

        task = asyncio.create_task(follow())
        for number in range(1, 100):
            log.write(b"%d\n" % number)
            if number % 7 == 0:
                await asyncio.sleep(0)
        log.end()
        await task
        return b"".join(heard)

    assert asyncio.run(body()) == b"".join(b"%d\n" % n for n in range(100))
