"""Running a program of the caller's inside a lab: the caller's child enters its namespaces."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

from ..errors import UsageError
from . import linux
from .sandbox import die_with_parent

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT)


def run_inside(
    namespaces: Sequence[tuple[int, int]], command: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Run a program with the caller's streams and terminal in these namespaces (descriptor, kinds),
    the user namespace first; its exit status, 128 + the number of the signal that ended it.

    Raises UsageError if it cannot be executed.
    """
    entering = os.fork()
    if entering == 0:
        _enter(namespaces, command, environ)
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)
    }
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(entering, 0)[1])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status in (_NOT_FOUND, _NOT_EXECUTABLE) and _missing(command[0], environ):
        raise UsageError(f"there is no program {command[0]}", "Check its name, and PATH.")
    return status if status >= 0 else 128 - status


def _missing(program: str, environ: Mapping[str, str]) -> bool:
    import shutil

    return shutil.which(program, path=environ.get("PATH")) is None


def _enter(namespaces: Sequence[int], command: Sequence[str], environ: Mapping[str, str]) -> None:
    """In the child: enter, then fork once more, because a pid namespace takes only children."""
    status = _NOT_EXECUTABLE
    try:
        for descriptor, kinds in namespaces:
            linux.setns(descriptor, kinds)
        if program := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
            if status < 0:
                status = 128 - status
        else:
            die_with_parent()
            for number in (*_TERMINAL_SIGNALS, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], list(command), dict(environ))
    except FileNotFoundError:
        status = _NOT_FOUND
    finally:
        os._exit(status)
