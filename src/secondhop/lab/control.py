"""Questions to a lab that stays, over the socket in its folder: one JSON line, and the answer."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import io
import json
import pickle
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from ..errors import DEFECT, LabError, SecondhopError, UsageError
from .state import State

_SECONDS = 10.0
_PAUSE_SECONDS = 0.1
_MOST = 1 << 20
_PLAIN = ("ipaddress", "collections")
_MODEL = __package__.replace(".lab", ".model.")
_SPACE = socket.CMSG_SPACE(16 * array.array("i").itemsize)


def packed(value: object) -> str:
    """A value of the model as it goes over the socket, which only this user and the lab open."""
    body = io.BytesIO()
    _Packer(body).dump(value)
    return base64.b64encode(body.getvalue()).decode()


def unpacked(text: str) -> Any:
    """What was packed. Raises LabError for anything but values of the model."""
    try:
        return _Values(io.BytesIO(base64.b64decode(text))).load()
    except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, ImportError) as error:
        why = f"that is no value of the model: {error}"
        raise LabError(why, "Is the lab of another release? Take it down and up again.") from None


class _Packer(pickle.Pickler):
    """Has members of an Enum made by their class; Python 3.11 has them made by getattr."""

    def reducer_override(self, value: object) -> Any:
        return (type(value), (value.value,)) if isinstance(value, Enum) else NotImplemented


class _Values(pickle.Unpickler):
    """Makes instances of the model's classes, and calls nothing else."""

    def find_class(self, module: str, name: str) -> type:
        found = None
        if module in _PLAIN or module.startswith(_MODEL):
            found = super().find_class(module, name)
        if not isinstance(found, type) or found.__module__ != module:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return found


class Answer(NamedTuple):
    """What a lab says, and descriptors that come with it; the lab's own stay its own."""

    value: Any
    descriptors: Sequence[int] = ()


Handler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Answer]]


def ask(state: State, verb: str, **arguments: Any) -> Answer:
    """Put a question to a lab. Raises UsageError if it is not up, and what the lab raises."""
    if state.keeper() is None:
        raise not_up(state)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_SECONDS)
        try:
            with state.address() as address:
                sock.connect(address)
            sock.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
            data, descriptors = b"", array.array("i")
            while not data.endswith(b"\n"):
                more, ancillary, _, _ = sock.recvmsg(_MOST, _SPACE, socket.MSG_CMSG_CLOEXEC)
                for level, kind, body in ancillary:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        descriptors.frombytes(body[: len(body) - len(body) % 4])
                if not more:
                    raise ConnectionError("it hung up")
                data += more
        except OSError as error:
            raise LabError(
                f"the lab {state.name} does not answer: {error}",
                f"Take it down: `secondhop lab down --name {state.name}`.",
            ) from None
    answer = json.loads(data)
    if "error" in answer:
        raise _REFUSALS.get(answer["exitCode"], LabError)(answer["error"], answer["remedy"])
    return Answer(answer["value"], descriptors)


_REFUSALS = {UsageError.exit_code: UsageError}


def not_up(state: State) -> UsageError:
    """The lab is not there, and why if it is known."""
    why = state.note()
    return UsageError(
        f"the lab {state.name} is not up" + (f": {why}" if why else ""),
        f"Start it: `secondhop lab up --name {state.name}`; `secondhop lab list` shows those that"
        " are there.",
    )


async def serve(listener: socket.socket, handle: Handler) -> None:
    """Answer until cancelled."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, for a while
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            group.create_task(_serve_one(connection, handle))


async def _serve_one(connection: socket.socket, handle: Handler) -> None:
    loop = asyncio.get_running_loop()
    with connection, contextlib.suppress(OSError):  # it has gone, or is too slow
        data = b""
        async with asyncio.timeout(_SECONDS):
            while not data.endswith(b"\n"):
                more = await loop.sock_recv(connection, _MOST)
                if not more:
                    return
                data += more
            value, descriptors = await _answered(data, handle)
            body = json.dumps(value).encode() + b"\n"
            sent = 0
            if descriptors:
                connection.setblocking(True)  # a few bytes; the peer has just written and waits
                sent = socket.send_fds(connection, [body[:1]], list(descriptors))
                connection.setblocking(False)
            await loop.sock_sendall(connection, body[sent:])


async def _answered(question: bytes, handle: Handler) -> Answer:
    """A mistake in here costs this question, and not the lab."""
    try:
        value, descriptors = await handle(json.loads(question))
    except SecondhopError as error:
        told = {"error": error.message, "remedy": error.remedy, "exitCode": error.exit_code}
        return Answer(told)
    except Exception:
        code = SecondhopError.exit_code
        return Answer({"error": traceback.format_exc(), "remedy": DEFECT, "exitCode": code})
    return Answer({"value": value}, descriptors)
