"""The user's kubectl as a subprocess: argument lists, a deadline for every call, and retries where
asking twice does no harm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ..errors import ClusterError
from .failures import BUSY, PASSING, failure, hidden, late

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
_PASTE = (
    "or paste: `kubectl get svc,endpointslices,pods,nodes,netpol -A -o yaml"
    " | secondhop explain -f -`."
)


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

    def anew(self) -> Kubectl:
        """The same, for after an interrupt that ended this one."""
        return Kubectl(self._access, self._seconds)

    def context(self) -> Context:
        """The chosen context; asks nobody but the kubeconfig. kubectl leaves secrets out."""
        command = ["config", "view", "--minify", "--output=json"]
        doing = "read the kubeconfig"
        found = _object(self._run(command, doing), doing, "contexts")
        context = found["contexts"][0]
        return Context(
            context["name"],
            context["context"].get("namespace") or "default",
            hidden((found.get("clusters") or [{"cluster": {}}])[0]["cluster"].get("server", "")),
        )

    def version(self) -> Object:
        """The API server's: `gitVersion` is as `v1.33.1+k3s1`."""
        doing = "read the server's version"
        return _object(self._read("/version", doing), doing)

    def get(self, right: Right) -> Object | None:
        """One object; None if there is none."""
        try:
            return _object(self._read(right.path, str(right)), str(right))
        except ClusterError as error:
            if error.reason == "NotFound":
                return None
            raise

    def listed(self, right: Right, keep: Callable[[Object], _T]) -> list[_T]:
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

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
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
            text = self._read(f"{right.path}?{urlencode(asked)}", str(right))
            found = _object(text, str(right), "kind", "apiVersion", "items", "metadata")
            kind, version = str(found["kind"]).removesuffix("List"), found["apiVersion"]
            yield [{"apiVersion": version, "kind": kind} | item for item in found["items"] or ()]
            following = found["metadata"].get("continue") or ""
            if not following:
                return

    def apply(self, objects: Sequence[Object], doing: str) -> None:
        """Make objects so; asked twice it changes nothing."""
        whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._again(["apply", "--validate=false", "--filename=-"], doing, whole)

    def patch(self, resource: str, name: str, namespace: str, change: Object) -> None:
        """Set fields of one object; asked twice it changes nothing."""
        words = ["patch", resource, name, f"--namespace={namespace}", "--type=merge"]
        self._again([*words, f"--patch={json.dumps(change)}"], f"patch {resource}/{name}")

    def delete_namespace(self, name: str) -> None:
        """Have a namespace deleted with all that is in it; does not wait until it is gone."""
        words = ["delete", "namespace", name, "--ignore-not-found", "--wait=false"]
        self._again(words, f"delete namespaces/{name}")

    def execute(self, namespace: str, pod: str, words: Sequence[str]) -> tuple[str, str]:
        """What a program inside a pod prints and complains of, however it ends."""
        doing = f"run {words[0]} in pod {namespace}/{pod}"
        command = ["exec", f"--namespace={namespace}", pod, "--", *words]
        code, out, said = self._call(command, doing)
        if code and "command terminated with exit code" not in said:
            raise self._failure(said, doing)
        return out, said

    def _read(self, path: str, doing: str) -> str:
        """The body of a GET."""
        return self._again(["get", f"--raw={path}"], doing)

    def _again(self, command: Sequence[str], doing: str, given: str | None = None) -> str:
        """What kubectl prints for a request that may be sent as often as it takes, and as the
        seconds of one allow."""
        deadline = time.monotonic() + self._seconds
        for pause in _PAUSES:
            try:
                return self._run(command, doing, given)
            except ClusterError as error:
                late = time.monotonic() > deadline
                if self._ended or late or error.reason not in (*BUSY, PASSING):
                    raise
            time.sleep(pause)
        return self._run(command, doing, given)

    def _run(self, command: Sequence[str], doing: str, given: str | None = None) -> str:
        code, out, said = self._call(command, doing, given)
        if code:
            raise self._failure(said, doing)
        return out

    def _failure(self, said: str, doing: str) -> ClusterError:
        return failure(said.strip(), doing, self._access.context, self._seconds)

    def _call(
        self, command: Sequence[str], doing: str, given: str | None = None
    ) -> tuple[int, str, str]:
        """Exit code, output and complaints of one kubectl."""
        timeout = f"--request-timeout={self._seconds:g}s"
        argv = [_PROGRAM, *self._access.options, timeout, *command]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
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
                f"Install kubectl; {_PASTE}",
                "Missing",
            ) from None
        except OSError as error:
            raise ClusterError(
                f"the kubectl on PATH does not run: {error.strerror}",
                f"`kubectl version` must work first; {_PASTE}",
                "Missing",
            ) from None
        self._running.add(process)
        with process:
            try:
                if self._ended:
                    _end(process)
                out, said = process.communicate(given, timeout=self._seconds + _GRACE)
            except subprocess.TimeoutExpired:
                _end(process)
                raise late(doing, self._seconds) from None
            except BaseException:
                _end(process)
                raise
            finally:
                self._running.discard(process)
        return process.returncode, out, said


def _object(text: str, doing: str, *needed: str) -> Object:
    """The JSON object that kubectl prints. needed: the fields that it must have."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(key not in found for key in needed):
        raise ClusterError(
            f"what kubectl printed is no answer to: {doing}",
            "Is the first `kubectl` on PATH the Kubernetes client, and the server an API server?"
            " `kubectl version` tells.",
            "Odd",
        )
    return found


def _result(future: Future[Any]) -> Any:
    error = future.exception()
    if isinstance(error, ClusterError):
        return error
    return future.result()


def _end(process: subprocess.Popen[str]) -> None:
    """kubectl, and the credential plugin that it may have started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
