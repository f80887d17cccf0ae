"""What replies tell: the pages of programs that people test Services with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.errors import UsageError
from secondhop.live.telling import Conversation, Told, by_pattern, host, known

WHOAMI = "Hostname: web-x2\nIP: 127.0.0.1\nRemoteAddr: {}\nGET / HTTP/1.1\n"


def told(conversation: Conversation, pages: dict[str, str]) -> Told:
    """What comes of it with these pages."""
    try:
        path = next(conversation)
        while True:
            path = conversation.send(pages.get(path, "404 page not found\n"))
    except StopIteration as end:
        found: Told = end.value
        return found


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ({"/": WHOAMI.format("192.0.2.9:41234")}, Told("web-x2", "192.0.2.9")),
        ({"/": WHOAMI.format("[fd00::9]:41234")}, Told("web-x2", "fd00::9")),
        ({"/clientip": "192.0.2.9:4", "/hostname": "web-x2"}, Told("web-x2", "192.0.2.9")),
        ({"/clientip": "[FD00:0::9]:4", "/hostname": "<html>"}, Told("", "fd00::9")),
        ({"/": '{"X-Forwarded-For": "192.0.2.9, 10.0.0.1"}'}, Told("", "192.0.2.9")),
        ({"/": "Welcome to nginx!"}, Told()),
        ({"/": WHOAMI.format("nonsense")}, Told()),
    ],
)
def test_pages(pages: dict[str, str], expected: Told) -> None:
    assert told(known(), pages) == expected


@pytest.mark.parametrize(
    ("pattern", "page", "source"),
    [
        (r"client_address=(\S+)", "client_address=10.1.2.3\ncommand=GET", "10.1.2.3"),
        (r'"ip":"([^"]*)"', '{"ip":"fd00::1"}', "fd00::1"),
        (r"from (\S+)", "from somewhere", ""),
        (r"from (\S+)", "nothing", ""),
    ],
)
def test_a_pattern_finds_the_source(pattern: str, page: str, source: str) -> None:
    assert told(by_pattern(pattern)(), {"/": page}) == Told("", source)


@pytest.mark.parametrize(("pattern", "said"), [("(", "missing"), ("abc", "has no group")])
def test_a_pattern_that_cannot_be_one(pattern: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        by_pattern(pattern)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_addresses_with_and_without_a_port(ip: object, port: int) -> None:
    text = str(ip)
    written = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
    assert host(written) == host(text) == text
