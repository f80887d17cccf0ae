"""Programs inside of pods over a WebSocket, as kubectl exec speaks it: v5.channel.k8s.io, or v4.

The first byte of a message is its channel. In v5 a client can end its input (KEP-4006).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ...errors import ApiError
from ..agent import Agent, Execution
from ..refusals import bad_request
from .path import Place
from .query import flag
from .reply import status_of

_PROTOCOLS = "v5.channel.k8s.io", "v4.channel.k8s.io"
_STDIN, _ERROR, _RESIZE, _CLOSE = (bytes([number]) for number in (0, 3, 4, 255))


async def execute(agent: Agent, place: Place, socket: WebSocket) -> None:
    """Run what the query asks for until it ends or the client goes. What goes wrong is told on the
    error channel: a client whose handshake fails tries SPDY, and would hear of that instead.
    Raises ApiError if the client speaks neither protocol."""
    offered = socket.scope["subprotocols"]
    protocol = next((name for name in _PROTOCOLS if name in offered), None)
    if protocol is None:
        raise bad_request(f"exec is spoken over {' or '.join(_PROTOCOLS)}, not {offered}")
    await socket.accept(protocol)
    try:
        try:
            status = _status(await _run(agent, place, socket))
        except ApiError as error:
            status = status_of(error)
        await socket.send_bytes(_ERROR + json.dumps(status).encode())
        await socket.close()
    except WebSocketDisconnect:
        return  # nobody is there to be told


async def _run(agent: Agent, place: Place, socket: WebSocket) -> int:
    """The program's exit status."""
    query = socket.query_params
    command = query.getlist("command")
    if not command or any("\0" in each for each in command):
        raise bad_request("you must specify at least one command, and none may hold a zero byte")
    execution = await agent.execute(
        place.namespace,
        place.name,
        query.get("container") or None,
        command,
        stdin=flag(query, "stdin"),
        tty=flag(query, "tty"),
    )
    listener = asyncio.create_task(_listen(execution, socket))
    try:
        async for channel, data in execution.output():
            await socket.send_bytes(bytes([channel]) + data)
        return await execution.wait()
    except BaseException:
        execution.kill()
        raise
    finally:
        listener.cancel()


async def _listen(execution: Execution, socket: WebSocket) -> None:
    """Hand on what the client sends; end the program when the client goes, or talks nonsense."""
    try:
        while True:
            message = await _received(socket)
            channel, data = message[:1], message[1:]
            if channel == _RESIZE:
                execution.resize(*_size(data))
            elif data if channel == _STDIN else message == _CLOSE + _STDIN:
                with suppress(OSError):  # the program may have closed its input
                    await execution.write(data if channel == _STDIN else b"")
    except (WebSocketDisconnect, KeyError, TypeError, ValueError, RecursionError):
        execution.kill()


def _size(data: bytes) -> tuple[int, int]:
    """Columns and rows of a terminal. Raises what nonsense is caught as."""
    size = json.loads(data)
    columns, rows = size["Width"], size["Height"]
    if not all(type(each) is int and 0 <= each < 1 << 16 for each in (columns, rows)):
        raise ValueError("a terminal has between 0 and 65535 rows and columns")
    return columns, rows


async def _received(socket: WebSocket) -> bytes:
    """A message, that some clients send as text. Raises WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    text: str | None = message.get("text")
    data: bytes = text.encode() if text is not None else message["bytes"]
    return data


def _status(code: int) -> dict[str, Any]:
    """How the end of a program is told: a Status, its exit status as a cause."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
