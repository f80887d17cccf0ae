"""Running a program of the caller's inside a lab: the caller's child enters its namespaces."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..errors import UsageError
from . import linux
from .sandbox import die_with_parent

_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends them to the program, and to those who only wait for it."""


def run_inside(
    namespaces: Sequence[tuple[int, int]], command: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Run a program with the caller's streams and terminal in these namespaces (descriptor, kinds),
    the user namespace first; its exit status, 128 + the number of the signal that ended it.

    Raises UsageError if it cannot be executed.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _TERMINAL_SIGNALS}
    hearing, telling = os.pipe2(os.O_CLOEXEC)
    try:
        entering = os.fork()
        if entering == 0:
            _enter(namespaces, command, environ, telling)
        os.close(telling)
        failure = os.read(hearing, 64)
        status = _status(entering)
    finally:
        os.close(hearing)
        for number, handler in before.items():
            signal.signal(number, handler)
    if failure:
        raise _refused(command[0], int(failure), environ)
    return status


def _refused(program: str, number: int, environ: Mapping[str, str]) -> UsageError:
    """EACCES may also come of a folder in PATH that this user cannot look into."""
    lacking = number == errno.EACCES and shutil.which(program, os.F_OK, environ.get("PATH")) is None
    if number == errno.ENOENT or lacking:
        return UsageError(f"there is no program {program}", "Check its name, and PATH.")
    said = f"{program} cannot be run in the lab: {os.strerror(number)}"
    return UsageError(said, "Name a program that may be executed, by the user whose lab it is.")


def _status(child: int) -> int:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


def _enter(
    namespaces: Sequence[tuple[int, int]],
    command: Sequence[str],
    environ: Mapping[str, str],
    telling: int,
) -> NoReturn:
    """In the child: enter, then fork once more, because a pid namespace takes only children."""
    status = 1
    try:
        for descriptor, kinds in namespaces:
            linux.setns(descriptor, kinds)
        die_with_parent()  # after setns: a change of credentials clears it
        if program := os.fork():
            os.close(telling)
            status = _status(program)
        else:
            die_with_parent()
            for number in (*_TERMINAL_SIGNALS, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], list(command), dict(environ))
    except OSError as error:
        os.write(telling, str(error.errno).encode())
    finally:
        os._exit(status)
