"""Programs of somebody else that run as long as the lab: kube-proxy, etcd, kube-apiserver …"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import EnvironmentUnable, LabError
from .netns import Namespace

_TOLD_LINES = 6
_TOLD_BYTES = 16384


class Daemon:
    """A running program of the lab; it ends with the lab's first process at the latest.

    log: a descriptor of a file for all that it writes; from now on ours. namespace: where it runs,
    None for the supervisor's own. folder: its working directory. kept: descriptors that it
    inherits, under their numbers. Raises EnvironmentUnable if it cannot be executed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: int,
        namespace: Namespace | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        kept: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._log = log
        try:
            with namespace or contextlib.nullcontext():
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environ,
                    cwd=folder,
                    pass_fds=kept,
                )
        except OSError as error:
            raise EnvironmentUnable(
                f"{command[0]} cannot be executed: {error.strerror}",
                "Give the path of a program for this machine.",
            ) from None
        self._pidfd = os.pidfd_open(self._process.pid)
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._pidfd, self._end)

    async def ended(self) -> None:
        """Wait until it ends, which it should not. Raises LabError with its last lines."""
        await asyncio.shield(self._ended)
        self.check()

    def check(self) -> None:
        """Raises LabError with its last lines if it has ended."""
        if self._ended.done():
            status = self._process.returncode
            how = f"with exit code {status}" if status >= 0 else f"by signal {-status}"
            raise LabError(
                f"{self.name} ended {how}; it said last:\n{self.last_lines()}",
                "What it says is its own: correct what it names, or use another build of it.",
            )

    def last_lines(self) -> str:
        """The end of its log, indented."""
        size = os.fstat(self._log).st_size
        told = os.pread(self._log, _TOLD_BYTES, max(size - _TOLD_BYTES, 0))
        lines = told.decode(errors="replace").splitlines()[-_TOLD_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._ended.set_result(None)
