"""The caller's handle on a lab: starts its supervisor and asks it."""

from __future__ import annotations

import errno
import pickle
import socket
import struct
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import DEFECT, LabError, SecondhopError
from ..model.cluster import Address, Cluster  # before the fork what both sides need: loaded once
from ..model.fate import Observation
from ..model.flow import Flow
from .sandbox import Sandbox

if TYPE_CHECKING:
    from ..model.trace import Recording

LENGTH = struct.Struct("!I")
"""Before every message in either direction: the number of bytes that follow."""
_SECONDS = 120.0
_UNABLE = LabError.exit_code


def framed(message: object) -> bytes:
    """One message as it goes over the channel."""
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


def failure() -> tuple[bool, tuple[str, str, int]]:
    """The answer that tells of the exception being handled."""
    error = sys.exception()
    if isinstance(error, SecondhopError):
        return False, (error.message, error.remedy, error.exit_code)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        remedy = "Allow more, with `ulimit -n`, or ask for fewer pods."
        return False, ("the lab needs more open files than it may have", remedy, _UNABLE)
    return False, (traceback.format_exc(), DEFECT, SecondhopError.exit_code)


def _main(channel: socket.socket) -> None:
    """The supervisor's life. It loads its own code, while the caller reads its input."""
    try:
        from .supervisor import main

        main(channel)
    except Exception:
        channel.sendall(framed(failure()))


class Lab:
    """A throw-away cluster of network namespaces, as long as the `with` block.

    Its process is born at once and gets ready while the caller does other things.
    """

    _life = staticmethod(_main)

    def __init__(self) -> None:
        self._sandbox = Sandbox(self._life)
        self._channel = self._sandbox.channel
        self._channel.settimeout(_SECONDS)
        self.pid = 0
        """Process id of the supervisor, once started."""
        self.notes: list[str] = []
        """What is out of the ordinary with the lab, once started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.close()

    def start(self, cluster: Cluster, kube_proxy: str | None = None) -> Mapping[str, bool]:
        """Build this cluster and start its pods, once; which of them, by `namespace/name`, are
        ready. kube_proxy: path of a stock one for every node, None for our own.

        Raises EnvironmentUnable where the kernel refuses the namespaces, LabError when building
        fails.
        """
        self.pid = self._sandbox.born()
        self._send("start", cluster, kube_proxy)
        answer: tuple[Mapping[str, bool], list[str]] = self._receive()
        ready, self.notes = answer
        return ready

    def program(self, cluster: Cluster) -> None:
        """Let the nodes' proxies see these objects, and wait until the kernel has the rules."""
        self._send("program", cluster)
        self._receive()

    def deliver(self, address: Address, node: str | None) -> None:
        """From now on the network outside brings an address that is no machine's to this node
        (`Flow.via`); None: nowhere, as at first."""
        self._send("deliver", address, node)
        self._receive()

    def inject(self, fault: str, target: str) -> None:
        """Do one of `faults.FAULTS` to a node, pod or Deployment."""
        self._send("inject", fault, target)
        self._receive()

    def observe(
        self, flows: Sequence[Flow], attempts: int, *, wait_timeouts: bool = False
    ) -> list[tuple[Observation, str]]:
        """Try flows together, each with that many fresh connections; of each also the first reply
        as it came. They share their via."""
        self._send("observe", flows, attempts, wait_timeouts)
        answer: list[tuple[Observation, str]] = self._receive()
        return answer

    def hold(self, flow: Flow) -> None:
        """Open a connection that stays open, if the flow is delivered."""
        self._send("hold", flow)
        self._receive()

    def held(self) -> tuple[int, int]:
        """How many of the held connections still answer, and how many there were; ends them."""
        self._send("held")
        answer: tuple[int, int] = self._receive()
        return answer

    def trace(self, place: str, flow: Flow) -> Recording:
        """Make one connection from a place (`client`, `node/NAME`, `pod/NAME`), and record it
        wherever it shows."""
        self._send("trace", place, flow)
        answer: Recording = self._receive()
        return answer

    def descriptors(self) -> Mapping[str, int]:
        """The supervisor's descriptor of each namespace: `client`, `router`, `node/…`, `pod/…`."""
        self._send("descriptors")
        answer: Mapping[str, int] = self._receive()
        return answer

    def _send(self, verb: str, *arguments: object) -> None:
        try:
            self._channel.sendall(framed((verb, arguments)))
        except OSError:
            raise _gone() from None

    def _receive(self) -> Any:
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size))
        good, answer = pickle.loads(self._exactly(size))
        if good:
            return answer
        message, remedy, exit_code = answer
        error = LabError(message, remedy)
        error.exit_code = exit_code
        raise error

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self._channel.recv(size - len(data), socket.MSG_WAITALL)
            except TimeoutError:
                raise LabError(
                    f"the lab did not answer within {_SECONDS:.0f} s",
                    "Try again on a quieter machine, or with fewer nodes and pods.",
                ) from None
            except OSError:
                raise _gone() from None
            if not more:
                raise _gone()
            data += more
        return data


def _gone() -> LabError:
    return LabError(
        "the lab's supervisor ended unexpectedly",
        "If the machine is short of memory, give it more; else run `secondhop doctor`.",
    )
