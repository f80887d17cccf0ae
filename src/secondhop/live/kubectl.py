"""The user's kubectl as a subprocess: argument lists, a deadline for every call, and retries where
asking twice does no harm."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ..errors import ClusterError

Object: TypeAlias = dict[str, Any]
_T = TypeVar("_T")

PAGE = 500
"""Objects a request asks for: what bounds memory, here and in kubectl."""
_PAUSES = (0.2, 0.5, 1.0)
"""Seconds before each further try of what may be tried again."""
_RESTARTS = 3
_AT_ONCE = 4
_GRACE = 2.0
"""Seconds that kubectl has beyond its own --request-timeout."""
_PROGRAM = "kubectl"

_STATUS = re.compile(r"^Error from server \((\w+)\): (.*)", re.M | re.S)
_PASSING = re.compile(
    r"connection reset|\bEOF\b|TLS handshake timeout|http2: |connection lost|i/o timeout"
    r"|currently unable to handle|Client\.Timeout|request timed out",
)
_BUSY = ("TooManyRequests", "InternalError", "ServiceUnavailable", "ServerTimeout", "Timeout")
_LOGIN = re.compile(
    r"\bUnauthorized\b|must be logged in|getting credentials|asked for.*credentials"
)
_CONFIG = re.compile(
    r"context \S+ does not exist|cannot locate context|context was not found|no context exists"
    r"|invalid configuration|error loading config file|no configuration has been provided"
    r"|current-context"
    r"|\.kube/config|stat .*: no such file",
)
_SECRET = re.compile(r"(?i)\b(bearer|token|password|secret)(\W{1,3})\S+")


class Access(NamedTuple):
    """Which cluster, as whom, in the words that kubectl takes; None for its own default."""

    context: str | None = None
    kubeconfig: str | None = None

    @property
    def options(self) -> list[str]:
        """As kubectl's arguments."""
        named = (("context", self.context), ("kubeconfig", self.kubeconfig))
        return [f"--{name}={value}" for name, value in named if value is not None]


class Context(NamedTuple):
    """What the chosen context of the kubeconfig says."""

    name: str
    namespace: str
    server: str


class Right(NamedTuple):
    """What a request needs to be allowed, in the words of RBAC. namespace: empty for all."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        name = f"/{self.name}" if self.name else ""
        where = f"in namespace {self.namespace}" if self.namespace else "at the cluster scope"
        return f"{self.verb} {self.resource}{group}{name} {where}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        base = f"/apis/{self.group}" if "/" in self.group else f"/apis/{self.group}/v1"
        parts = [base if self.group else "/api/v1"]
        if self.namespace:
            parts += ["namespaces", self.namespace]
        parts += [self.resource, self.name]
        return "/".join(part for part in parts if part)


class Kubectl:
    """One cluster. seconds: what a single request may take.

    Every method raises ClusterError: what failed, in words that name the missing right, the
    context, or the address.
    """

    def __init__(self, access: Access, seconds: float = 30.0) -> None:
        self._access = access
        self._seconds = seconds
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def context(self) -> Context:
        """The chosen context; asks nobody but the kubeconfig. kubectl leaves secrets out."""
        command = ["config", "view", "--minify", "--output=json"]
        found = json.loads(self._run(command, "read the kubeconfig"))
        context = found["contexts"][0]
        return Context(
            context["name"],
            context["context"].get("namespace") or "default",
            (found.get("clusters") or [{"cluster": {}}])[0]["cluster"].get("server", ""),
        )

    def version(self) -> Object:
        """The API server's: `gitVersion` is as `v1.33.1+k3s1`."""
        found: Object = json.loads(self._read("/version", "read the server's version"))
        return found

    def get(self, right: Right) -> Object | None:
        """One object; None if there is none."""
        try:
            found: Object = json.loads(self._read(right.path, str(right), right))
        except ClusterError as error:
            if error.reason == "NotFound":
                return None
            raise
        return found

    def listed(self, right: Right, keep: Callable[[Object], Object]) -> list[Object]:
        """All objects, page by page: no more than a page is held beside what `keep` leaves of
        each. A list that expires under way begins anew."""
        for _ in range(_RESTARTS):
            try:
                return [keep(item) for page in self._pages(right) for item in page]
            except ClusterError as error:
                if error.reason not in ("Expired", "Gone"):
                    raise
                expired = error
        raise expired

    def together(self, *calls: Callable[[], _T]) -> list[_T | ClusterError]:
        """What each of several calls returns or raises, made at the same time. An interrupt ends
        them all."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                wait(futures)
            except BaseException:
                self._end_all()
                raise
        return [*map(_result, futures)]

    def _end_all(self) -> None:
        self._ended = True
        for process in [*self._running]:
            _end(process)

    def _pages(self, right: Right) -> Iterator[list[Object]]:
        from urllib.parse import urlencode

        following = ""
        while True:
            asked = {"limit": PAGE} | ({"continue": following} if following else {})
            found = json.loads(self._read(f"{right.path}?{urlencode(asked)}", str(right), right))
            kind, version = str(found["kind"]).removesuffix("List"), found["apiVersion"]
            yield [{"apiVersion": version, "kind": kind} | item for item in found["items"] or ()]
            following = found["metadata"].get("continue") or ""
            if not following:
                return

    def _read(self, path: str, doing: str, right: Right | None = None) -> str:
        """The body of a GET, which may be sent again as often as it takes."""
        command = ["get", f"--raw={path}"]
        for pause in _PAUSES:
            try:
                return self._run(command, doing, right)
            except ClusterError as error:
                if self._ended or error.reason not in (*_BUSY, "Passing"):
                    raise
            time.sleep(pause)
        return self._run(command, doing, right)

    def _run(self, command: Sequence[str], doing: str, right: Right | None = None) -> str:
        timeout = f"--request-timeout={self._seconds:g}s"
        argv = [_PROGRAM, *self._access.options, timeout, *command]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ClusterError(
                "there is no kubectl on PATH",
                "Install kubectl; or paste: `kubectl get svc,endpointslices,pods,nodes,netpol -A"
                " -o yaml | secondhop explain -f -`.",
                "Missing",
            ) from None
        self._running.add(process)
        with process:
            try:
                if self._ended:
                    _end(process)
                out, said = process.communicate(timeout=self._seconds + _GRACE)
            except subprocess.TimeoutExpired:
                _end(process)
                raise _late(doing, self._seconds) from None
            except BaseException:
                _end(process)
                raise
            finally:
                self._running.discard(process)
        if process.returncode:
            raise self._failure(said.strip(), doing, right)
        return out

    def _failure(self, said: str, doing: str, right: Right | None) -> ClusterError:
        """What kubectl's complaint means."""
        said = _SECRET.sub(r"\1\2…", said)
        where = f" (context {self._access.context})" if self._access.context else ""
        status = _STATUS.search(said)
        reason, text = (status[1], status[2]) if status else ("", said.removeprefix("error: "))
        text = " ".join(text.split()) or "kubectl said nothing"
        if reason == "Forbidden":
            return ClusterError(
                f"not allowed{where}: {doing}",
                f"The server: {text}. Ask for that right; docs/examples/rbac.yaml has them all.",
                reason,
            )
        if reason == "Unauthorized" or _LOGIN.search(said):
            return ClusterError(
                f"the cluster does not accept the credentials{where}: {text}",
                "Log in again as you do for kubectl, and try `kubectl get nodes`.",
                "Unauthorized",
            )
        if reason:
            return ClusterError(
                f"could not {doing}{where}: {reason}: {text}",
                "Try again; if it stays so, ask who runs the cluster.",
                reason,
            )
        if _CONFIG.search(said):
            return ClusterError(
                f"the kubeconfig does not lead to a cluster{where}: {text}",
                "`kubectl config get-contexts` lists what --context can be.",
                "Config",
            )
        if "Client.Timeout" in said or "context deadline exceeded" in said:
            return _late(doing, self._seconds)
        return ClusterError(
            f"the cluster cannot be reached{where}: {text}",
            "Is the address right, and is a VPN needed? `kubectl get nodes` must work first.",
            "Passing" if _PASSING.search(said) else "Unreachable",
        )


def _result(future: Future[_T]) -> _T | ClusterError:
    error = future.exception()
    if isinstance(error, ClusterError):
        return error
    return future.result()


def _late(doing: str, seconds: float) -> ClusterError:
    return ClusterError(
        f"no answer within {seconds:g} s to: {doing}",
        "Is the API server overloaded, or the way to it? Try again, or with -n for one namespace.",
        "Deadline",
    )


def _end(process: subprocess.Popen[str]) -> None:
    """kubectl, and the credential plugin that it may have started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
