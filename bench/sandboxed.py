"""Work in namespaces of its own, which end with it."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from typing import Any

from secondhop.lab.sandbox import Sandbox


def sandboxed(work: Callable[[], Any]) -> Any:
    """What comes of work in a user namespace of its own. Raises what it raised."""

    def main(channel: socket.socket) -> None:
        try:
            answer: object = work()
        except Exception as error:
            answer = error
        channel.sendall(pickle.dumps(answer))
        channel.shutdown(socket.SHUT_WR)

    sandbox = Sandbox(main)
    try:
        sandbox.born()
        said = b""
        while part := sandbox.channel.recv(65536):
            said += part
    finally:
        sandbox.close()
    answer = pickle.loads(said)
    if isinstance(answer, Exception):
        raise answer
    return answer


def forked(work: Callable[[], None]) -> None:
    """Work for a process of its own, which ends with the sandbox."""
    if os.fork() == 0:
        try:
            work()
        finally:
            os._exit(1)
