"""What this process has open that it did not open itself."""

from __future__ import annotations

import contextlib
import os

_STREAMS = (0, 1, 2)


def inheritable() -> list[int]:
    """The descriptors that a program would inherit, but for the standard streams. Python's own are
    never among them: they came from who started this process, or a library opened them."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the listing's own is closed
            if number not in _STREAMS and os.get_inheritable(number):
                found.append(number)
    return found
