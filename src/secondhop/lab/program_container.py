"""Containers that are a program of this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from .container import Home
from .log import Log
from .process import Process, Streams, start

_CHUNK = 65536


class ProgramContainer:
    """A program of this machine, its output in the log."""

    def __init__(self, program: Process, log: Log) -> None:
        self.program: Process | None = program
        self._program = program
        self.log = log

    @classmethod
    async def begin(
        cls, home: Home, command: Sequence[str], environ: Mapping[str, str], folder: str
    ) -> ProgramContainer:
        """Start it. Raises OSError as execve did."""
        log = Log()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            streams = Streams(null, writing, writing)
            program = await start(home.place(), command, environ, folder, streams)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(null)
            os.close(writing)
        _pump(reading, log)
        return cls(program, log)

    async def wait(self) -> int:
        """See Container."""
        return await self._program.wait()

    def signal(self, number: int) -> None:
        """See Container."""
        self._program.signal(number)


def _pump(reading: int, log: Log) -> None:
    """Carry what comes out of a pipe into a log, until all its writers are gone."""
    loop = asyncio.get_running_loop()
    os.set_blocking(reading, False)

    def read() -> None:
        data = os.read(reading, _CHUNK)
        log.write(data)
        if not data:
            loop.remove_reader(reading)
            os.close(reading)
            log.end()

    loop.add_reader(reading, read)
