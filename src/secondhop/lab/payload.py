"""whoami's /data: filler of any size, whole, chunked, or as a file with ranges (semantics §9.2)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from .http import Request
from .reply import TEXT, Reply, date, error
from .url import TRUE, query_value

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_SPAN = re.compile(r"([0-9]{0,19})-([0-9]{0,19})")
_LETTERS = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BLOCK = 32 << 10
_PATTERN = _LETTERS * (_BLOCK // len(_LETTERS) + 2)
_WHOLE = 512
_FILE = {"Content-Disposition": "Attachment"}


def data(request: Request, peer: str) -> Reply:
    """Answers a request for /data."""
    query = request.target.query
    number = query_value(query, "size")
    size = max(0, int(number)) if _INTEGER.fullmatch(number) else 1
    size *= _UNITS.get(query_value(query, "unit").lower(), 1)
    if query_value(query, "attachment") in TRUE:
        return _attachment(request, size - 1)
    if size < _WHOLE:
        return Reply(b"".join(_content(0, size, size)) if size > 1 else b"")
    return Reply(blocks=_content(0, size, size))


def _attachment(request: Request, size: int) -> Reply:
    """The content as a file: a byte shorter than asked, for whoami counts its end so."""
    if size < 0:
        return error(500, "seeker can't seek", _FILE)
    wanted = "" if "If-Range" in request.headers else request.header("Range")
    spans = _spans(wanted, size) if wanted else []
    if spans is None:
        return error(416, "invalid range", _FILE)
    found = [span for span in spans if span[0] <= span[1]]
    if spans and not found:
        missed = {**_FILE, "Content-Range": f"bytes */{size}"}
        return error(416, "invalid range: failed to overlap", missed)
    start, stop = found[0] if len(found) == 1 else (0, size)
    headers = {"Accept-Ranges": "bytes", **_FILE, "Content-Length": str(stop - start)}
    if len(found) == 1:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers |= {"Content-Type": TEXT, "Last-Modified": date(int(time.time()))}
    return Reply(b"", 206 if len(found) == 1 else 200, headers, _content(start, stop, size))


def _spans(wanted: str, size: int) -> list[tuple[int, int]] | None:
    """What a Range header asks for, each from a byte up to another, -1 for a start past the
    end; None if it is malformed."""
    spans = []
    unit, _, specs = wanted.partition("=")
    for spec in specs.split(","):
        if not spec.strip(" \t"):
            continue
        match = _SPAN.fullmatch("-".join([end.strip(" \t") for end in spec.split("-")]))
        first, last = match.groups() if match else ("", "")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        if first:
            stop = min(size, int(last) + 1) if last else size
            spans.append((int(first), stop if int(first) < size else -1))
        else:
            spans.append((max(0, size - int(last)), size))
    return spans if unit == "bytes" and specs else None


def _content(start: int, stop: int, size: int) -> Iterator[bytes]:
    """Bytes start to stop of content of that size: the letters in a row between two bars."""
    while start < stop:
        block = _PATTERN[start % 27 :][: min(_BLOCK, stop - start)]
        if start == 0:
            block = b"|" + block[1:]
        start += len(block)
        yield block[:-1] + b"|" if start == size else block
