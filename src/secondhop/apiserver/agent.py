"""What the API asks of whoever runs the pods: their logs, and programs inside of them.

The server passes these requests on, as a real one does to the kubelet of the pod's node; the lab's
kubelet is the other side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class LogOptions(NamedTuple):
    """Which lines of a log: as PodLogOptions."""

    follow: bool = False
    previous: bool = False
    tail: int | None = None
    """Only so many of the last lines."""
    since_seconds: int | None = None
    timestamps: bool = False


class Execution(Protocol):
    """A program that runs in a container for a client."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """What it writes, as it comes: (1 for stdout or 2 for stderr, bytes). With a terminal
        everything is stdout. Ends with the program."""
        ...

    async def write(self, data: bytes) -> None:
        """Give it input; empty bytes end the input."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """Tell its terminal the size of the client's."""
        ...

    async def wait(self) -> int:
        """Its exit status; 128 + the number of the signal that ended it."""
        ...

    def kill(self) -> None:
        """End it: the client has gone."""
        ...


class Agent(Protocol):
    """The way to running pods. Every method raises ApiError (404: no such pod or container; 400:
    not running yet) in the API's words."""

    def logs(
        self, namespace: str, name: str, container: str | None, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """The log of a container (None: the only one), in pieces of whole lines; bounded, unless it
        is followed."""
        ...

    async def execute(
        self,
        namespace: str,
        name: str,
        container: str | None,
        command: Sequence[str],
        *,
        stdin: bool,
        tty: bool,
    ) -> Execution:
        """Start a program inside a container."""
        ...
