"""The caller's handle on a Rehearsal: a lab that lives, to be broken and counted."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .client import Lab, failure, framed

if TYPE_CHECKING:
    from ..model.cluster import Cluster
    from .rehearsal import Answer, Notice, Script


def _main(channel: socket.socket) -> None:
    try:
        from .rehearsal import Rehearsal
        from .supervisor import main

        main(channel, Rehearsal)
    except Exception:
        channel.sendall(framed(failure()))


class Stage(Lab):
    """A Rehearsal, as long as the `with` block. Its methods are the Rehearsal's, in order; each
    raises UsageError, EnvironmentUnable or LabError."""

    _life = staticmethod(_main)

    def play(self, script: Script) -> None:
        """Rehearsal.start, begun: the caller may do something else before it asks for `played`."""
        self.pid = self._sandbox.born()
        self._send("start", script)

    def played(self) -> None:
        """Rehearsal.start, ended."""
        self._receive()

    def settled(self) -> Cluster:
        """Rehearsal.settled."""
        self._send("settled")
        found: Cluster = self._receive()
        return found

    def break_(self, fault: str, target: str) -> float:
        """Rehearsal.inject."""
        self._send("inject", fault, target)
        at: float = self._receive()
        return at

    def ways(self) -> dict[str, tuple[str, ...]]:
        """Rehearsal.ways."""
        self._send("ways")
        found: dict[str, tuple[str, ...]] = self._receive()
        return found

    def begin(self, rate: float, seed: int) -> None:
        """Rehearsal.begin."""
        self._send("begin", rate, seed)
        self._receive()

    def end(self) -> tuple[dict[str, Answer], list[Notice]]:
        """Rehearsal.end."""
        self._send("end")
        found: tuple[dict[str, Answer], list[Notice]] = self._receive()
        return found

    def handshakes(self, service: str | None, seconds: float) -> list[float]:
        """Rehearsal.handshakes."""
        self._send("handshakes", service, seconds)
        found: list[float] = self._receive()
        return found
