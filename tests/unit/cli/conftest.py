"""The command line as a function, for the verbs that need no other process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from secondhop.cli import main


class Done(NamedTuple):
    """What a call left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def secondhop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """`secondhop("explain", "--all")` as the console script would run it."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["secondhop", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *capsys.readouterr())

    return call
