"""Programs of the system that load rules, fed with text inside a namespace."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

from ..errors import EnvironmentUnable, LabError
from .netns import Namespace

_SECONDS = 30.0
_LONGEST = 4096
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


def find_program(*names: str, package: str) -> str:
    """Path of the first of these that exists; ordinary users lack sbin in PATH.

    Raises EnvironmentUnable if there is none.
    """
    path = os.environ.get("PATH", "") + _SBIN
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise EnvironmentUnable(
        f"{names[-1]} is not installed",
        f"Install it: `sudo apt-get install {package}` (Debian, Ubuntu).",
    )


class Program:
    """A program at work in a namespace. Its input and its complaints are memory files: no pipe can
    fill up."""

    def __init__(self, namespace: Namespace, command: list[str], text: str) -> None:
        self._name = namespace.name
        self._path = command[0]
        self._said = os.memfd_create("said")
        rules = os.memfd_create("rules")
        try:
            os.write(rules, text.encode())
            os.lseek(rules, 0, os.SEEK_SET)
            with namespace:
                self._process = subprocess.Popen(
                    command, stdin=rules, stdout=self._said, stderr=self._said
                )
        finally:
            os.close(rules)

    async def ended(self) -> str:
        """Wait for the end without blocking the loop, then `finish`."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, over.cancel)
        try:
            await asyncio.wait({over}, timeout=_SECONDS)
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self.finish(0.0)

    def finish(self, seconds: float = _SECONDS) -> str:
        """Wait that long for the end; what the program said. To be called once.

        Raises LabError with the program's complaint if it refused the rules or did not end.
        """
        hung = False
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
            self._process.kill()
            status = self._process.wait()
        with open(self._said, "rb") as file:
            file.seek(0)
            said = file.read()
        if hung:
            raise LabError(
                f"{self._path} did not end in {_SECONDS:.0f} s on {self._name}",
                "Try by hand what it does here.",
            )
        if status != 0:
            raise refused(self._name, said or f"it ended with status {status}".encode())
        return said.decode(errors="replace")


def refused(node: str, complaint: bytes) -> LabError:
    """The error for rules that the kernel of a node did not take; of a long complaint the begin."""
    said = complaint[:_LONGEST].decode(errors="replace").strip()
    return LabError(
        f"the rules of {node} were refused: {said}",
        "Run `secondhop doctor`; if it finds nothing, please report this message.",
    )
