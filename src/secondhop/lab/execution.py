"""Programs started inside running containers, their streams in this process's hands."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import struct
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from fcntl import ioctl

from .container import Container, Home
from .environment import PATH
from .process import Process, Streams, start

_CHUNK = 65536
_FULL_SECONDS = 0.01
_LINGER_SECONDS = 0.2
_END = 0, b""


class Execution:
    """A program started inside a running container, as `apiserver.agent.Execution` says."""

    def __init__(self, program: Process, stdin: int | None, outputs: Mapping[int, int]) -> None:
        self._program = program
        self._stdin = stdin
        self._outputs = outputs

    @classmethod
    async def begin(
        cls,
        home: Home,
        container: Container,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        stdin: bool,
        tty: bool,
    ) -> Execution:
        """Start it. Raises OSError as execve did."""
        place = home.place(container.program)
        environ = {"PATH": PATH, "HOME": "/root", **environ}
        if tty:
            ours, theirs = os.openpty()
            streams = Streams(theirs, theirs, theirs, terminal=True)
            opened, closing = {"in": ours, 1: ours}, {theirs}
            environ = {"TERM": "xterm", **environ}
        else:
            read_in, write_in = os.pipe2(os.O_CLOEXEC)
            out, out_w = os.pipe2(os.O_CLOEXEC)
            err, err_w = os.pipe2(os.O_CLOEXEC)
            streams = Streams(read_in, out_w, err_w)
            opened, closing = {"in": write_in, 1: out, 2: err}, {read_in, out_w, err_w}
        try:
            program = await start(place, command, environ, "/", streams)
        except OSError:
            for descriptor in set(opened.values()):
                os.close(descriptor)
            raise
        finally:
            for descriptor in closing:
                os.close(descriptor)
        for descriptor in set(opened.values()):
            os.set_blocking(descriptor, False)
        execution = cls(program, opened["in"], {n: opened[n] for n in (1, 2) if n in opened})
        if not stdin and not tty:
            await execution.write(b"")
        return execution

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """See apiserver.agent.Execution."""
        queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(maxsize=16)
        tasks = [asyncio.create_task(_drain(n, fd, queue)) for n, fd in self._outputs.items()]
        tasks.append(asyncio.create_task(self._last_words(tasks[:], queue)))
        try:
            while (item := await queue.get()) != _END:
                yield item
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.write(b"")
            for descriptor in self._outputs.values():
                os.close(descriptor)

    async def _last_words(
        self, draining: Sequence[asyncio.Task[None]], queue: asyncio.Queue[tuple[int, bytes]]
    ) -> None:
        """Say that it ends: with the program, though its children may hold its streams open."""
        await self._program.wait()
        while pending := [task for task in draining if not task.done()]:
            await asyncio.wait(pending, timeout=_LINGER_SECONDS)
            if queue.empty():
                break
        await queue.put(_END)

    async def write(self, data: bytes) -> None:
        """See apiserver.agent.Execution."""
        if self._stdin is None:
            return
        if not data:
            if self._stdin not in self._outputs.values():
                os.close(self._stdin)
            self._stdin = None
            return
        while data and self._stdin is not None:
            try:
                data = data[os.write(self._stdin, data) :]
            except BlockingIOError:
                await asyncio.sleep(_FULL_SECONDS)
            except OSError:  # nobody reads any more
                return

    def resize(self, columns: int, rows: int) -> None:
        """See apiserver.agent.Execution."""
        if self._stdin is not None:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            with contextlib.suppress(OSError):
                ioctl(self._stdin, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """See apiserver.agent.Execution."""
        return await self._program.wait()

    def kill(self) -> None:
        """See apiserver.agent.Execution."""
        self._program.signal(signal.SIGKILL)


async def _drain(stream: int, descriptor: int, queue: asyncio.Queue[tuple[int, bytes]]) -> None:
    """Everything that comes out of a pipe or a terminal, to its end."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                readable.clear()
                await readable.wait()
                continue
            except OSError as error:
                if error.errno != errno.EIO:  # a terminal whose last program has ended
                    raise
                return
            if not data:
                return
            await queue.put((stream, data))
    finally:
        loop.remove_reader(descriptor)
