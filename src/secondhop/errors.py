"""Every error secondhop raises on purpose.

    SecondhopError                 what went wrong, and what to do next        exit code
    ├── UsageError                 the command line asks for something impossible     2
    ├── ManifestError              one or more problems in the user's objects         2
    ├── EnvironmentUnable          this machine, user or kernel cannot do it          3
    ├── LabError                   the lab broke while it was being built or used     3
    ├── ClusterError               a real cluster, or the way to it through kubectl   3
    └── ApiError                   a Kubernetes API refused a request                 3

`cli` maps each to its exit code; a user's mistake never ends in a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFECT = "This is a defect of secondhop: please report it with the text above."
"""The remedy of what no error below foresaw; the message is the traceback."""


class SecondhopError(Exception):
    """Base of the tree: a message, and the remedy that every error must carry."""

    exit_code = 3

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}"


class UsageError(SecondhopError):
    """The command line, or its combination with the input, cannot be meant."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an input object, told so that it can be mended without searching."""

    file: str
    """Its name as given; `-` for stdin."""
    line: int
    """From 1; 0 when it has none."""
    subject: str
    """The object, as kubectl writes it: `Service default/web`."""
    field: str
    """Path of the field inside the object: `spec.ports[0].nodePort`; empty for the whole object."""
    message: str
    """What is wrong, naming the value."""
    remedy: str
    """What to do next."""
    id: str = "invalid-value"
    """The kind of mistake: the page of docs/findings that is about it."""

    @property
    def where(self) -> str:
        """File and line (`web.yaml:12`), or `-:3` for stdin."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        path = f" {self.field}" if self.field else ""
        return f"{self.where}: {self.subject}{path}: {self.message}\n  {self.remedy}"


class ManifestError(SecondhopError):
    """The user's objects cannot be read or are not valid; carries every problem found."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), self.problems[-1].remedy)

    def __str__(self) -> str:
        return self.message


class EnvironmentUnable(SecondhopError):
    """This kernel, user or machine lacks something; `secondhop doctor` says the same."""


class LabError(SecondhopError):
    """The lab failed while being built, changed or observed."""


class ClusterError(SecondhopError):
    """A real cluster, or the way to it through the user's kubectl, fails.

    reason: as in a Status object (Forbidden, NotFound, Expired…), or Missing (no kubectl), Config
    (no such context), Unauthorized, Unreachable, Deadline.
    """

    def __init__(self, message: str, remedy: str, reason: str) -> None:
        super().__init__(message, remedy)
        self.reason = reason


class ApiError(SecondhopError):
    """A Kubernetes API refused a request: its own words, and what it answers over HTTP.

    code: the HTTP status. reason: a Status object's (NotFound, AlreadyExists, Conflict, Invalid,
    Expired, BadRequest, Forbidden, Unauthorized, MethodNotAllowed, NotAcceptable, Timeout,
    UnsupportedMediaType, InternalError). details: as in a Status object: name, group, kind, causes.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, "Change the request as the API says, and send it again.")
        self.code, self.reason = code, reason
        self.details: Mapping[str, Any] = details or {}
