"""What an HTTP reply tells of the pod that gave it and of the source address it saw. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from ipaddress import ip_address
from typing import NamedTuple

from ..errors import UsageError

_HOSTNAME = re.compile(r"^Hostname: (\S+)$", re.M)
_REMOTE = re.compile(r"^RemoteAddr: (\S+)$", re.M)
_FORWARDED = re.compile(r"(?i)(?<![-\w])x-forwarded-for[\"']?\s*[:=]\s*[\"']?([^\s,\"']+)")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class Told(NamedTuple):
    """Pod and source address; empty for what nobody tells."""

    pod: str = ""
    source: str = ""


Conversation = Generator[str, str, Told]
"""Yields paths to ask for on one connection, so of one pod; is sent each reply's body."""
Teller = Callable[[], Conversation]


def known() -> Conversation:
    """As whoami, agnhost's netexec, or a page that echoes X-Forwarded-For tells it."""
    body = yield "/"
    remote = _REMOTE.search(body)
    if remote and (source := host(remote[1])):
        name = _HOSTNAME.search(body)
        return Told(name[1] if name else "", source)
    if (forwarded := _FORWARDED.search(body)) and (source := host(forwarded[1])):
        return Told("", source)
    source = host((yield "/clientip").strip())
    if not source:
        return Told()
    name_text = (yield "/hostname").strip()
    return Told(name_text if _NAME.fullmatch(name_text) else "", source)


def by_pattern(pattern: str) -> Teller:
    """As the first group of a pattern finds the source in the page at `/`. UsageError if it cannot
    be one."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--source-from {pattern}: {error}", "Write a Python regular expression."
        ) from None
    if not wanted.groups:
        raise UsageError(
            f"--source-from {pattern} has no group",
            "Put the address in parentheses: 'client=([0-9a-f.:]+)'.",
        )

    def ask() -> Conversation:
        body = yield "/"
        found = wanted.search(body)
        return Told("", host(found[1] or "") if found else "")

    return ask


def host(text: str) -> str:
    """The address in `ip`, `ip:port` or `[ip]:port`, canonical; empty if it is none."""
    bare = text
    if text.startswith("["):
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        return str(ip_address(bare))
    except ValueError:
        return ""
