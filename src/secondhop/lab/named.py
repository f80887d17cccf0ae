"""What must be on this machine because somebody names it: programs, packages."""

from __future__ import annotations

import os

from ..errors import EnvironmentUnable


def named_program(path: str, where: str) -> str:
    """Absolute path of a program that the user names. where: as what, for the error.

    Raises EnvironmentUnable if it is not there or cannot be executed.
    """
    found = os.path.abspath(os.path.expanduser(path))
    why = "is not there" if not os.path.exists(found) else "cannot be executed"
    if not (os.path.isfile(found) and os.access(found, os.X_OK)):
        raise EnvironmentUnable(
            f"{where}: {path} {why}",
            "Give the path of the program on this machine (relative: to the current folder).",
        )
    return found


def missing_package(what: str, error: ModuleNotFoundError) -> EnvironmentUnable:
    """The error for an install that lacks the extra `lab`. what: who needs it."""
    return EnvironmentUnable(
        f"{what} needs the Python package {error.name}",
        "Install what it needs: `pip install 'secondhop[lab]'`, or in a clone `make setup`.",
    )
