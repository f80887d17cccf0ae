"""What a request line asks for, read and written back as Go's net/url and http.ServeMux do."""

from __future__ import annotations

import re
from typing import NamedTuple

_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+|/")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(.*)")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:%]*)(:[0-9]*)?")
_AS_SENT = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,/;=:@\[\]%]*")
_UNSAFE = re.compile(rb"[^A-Za-z0-9\-_.~$&+,/;=:@]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Go's strconv.ParseBool takes for true."""


class Target(NamedTuple):
    """text: as Go writes it in a request line; path: decoded; canonical: the encoded path without
    `.`, `..` and `//`, None if it is so already; host: empty unless the URI was absolute."""

    text: str
    path: str
    canonical: str | None
    query: str
    host: str


def parse_target(method: str, uri: str) -> Target | None:
    """The target of a request, None if Go would not take it."""
    if _PLAIN.fullmatch(uri):
        return Target(uri, uri, None, "", "")
    host, rest = "", uri
    if method == "CONNECT" and not uri.startswith("/"):
        rest = f"http://{uri}"
    if absolute := _ABSOLUTE.fullmatch(rest):
        rest = absolute[1]
        if rest.startswith("//"):
            authority, slash, rest = rest[2:].partition("/")
            rest = slash + rest
            host = authority.rpartition("@")[2]
            if _AUTHORITY.fullmatch(host) is None:
                return None
        elif not rest.startswith("/"):
            return Target(rest, "", "/", "", "")
    elif rest != "*" and not rest.startswith("/"):
        return None
    path, mark, query = rest.partition("?")
    if _BAD_ESCAPE.search(path):
        return None
    return _target(method, host, path, mark, query)


def _target(method: str, host: str, path: str, mark: str, query: str) -> Target:
    decoded = _unescape(path)
    encoded = path if _AS_SENT.fullmatch(path) else _encode(decoded)
    canonical = encoded if method == "CONNECT" or path == "*" else _clean(encoded)
    text = host if method == "CONNECT" and not path else (encoded or "/") + mark + query
    return Target(text, decoded, None if canonical == encoded else canonical, query, host)


def query_value(query: str, key: str) -> str:
    """The first value of a key, empty if there is none; what Go cannot parse is skipped."""
    for item in query.split("&"):
        name, _, value = item.partition("=")
        if not name or ";" in item or _BAD_ESCAPE.search(item):
            continue
        if _unescape(name.replace("+", " ")) == key:
            return _unescape(value.replace("+", " "))
    return ""


def _clean(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts) + ("/" if parts and path.endswith("/") else "")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    data = _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode()), _bytes(text))
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> str:
    return _UNSAFE.sub(lambda m: b"%%%02X" % m[0][0], _bytes(text)).decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
