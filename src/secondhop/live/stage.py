"""A namespace of our own on somebody's cluster: everything made stands in it, is labelled, and goes
with it, however the run ends."""

from __future__ import annotations

import getpass
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import NamedTuple

from ..errors import ClusterError
from .kubectl import Kubectl, Object, Right

PREFIX = "secondhop-"
LABEL = "app.kubernetes.io/managed-by"
_MAKER = "secondhop"
_ENFORCED = "pod-security.kubernetes.io/enforce"
_BY = "secondhop.io/by"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_POLL_SECONDS = 0.3
_GONE_SECONDS = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Leftover(NamedTuple):
    """A namespace of ours that is there. by: user and time of its making."""

    name: str
    by: str
    terminating: bool


def fresh_name() -> str:
    """A name for a namespace, as nobody else has it."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(5))


@contextmanager
def staged(kubectl: Kubectl, name: str, *, privileged: bool = False) -> Iterator[None]:
    """The namespace, for as long as the block runs; privileged: hostNetwork pods may be in it.
    SIGTERM ends the block as Ctrl-C does; what cleans up is ended by neither. ClusterError if it
    cannot be made, or will not go."""
    failed: ClusterError | None = None
    with _interrupts() as interrupts:
        try:
            try:
                kubectl.apply([_namespace(name, privileged)], f"create namespaces/{name}")
                yield
            finally:
                interrupts.heard = False
        except ClusterError as error:
            failed = error
            raise
        finally:  # once more: an interrupt may have hit the line above
            interrupts.heard = False
            _leave(kubectl, name, failed)


def _leave(kubectl: Kubectl, name: str, failed: ClusterError | None) -> None:
    """Remove the namespace. failed: what ended the block, which is told first."""
    try:
        strike(kubectl, [name])
    except ClusterError as left:
        if failed is None:
            raise
        told = f"{failed.message}\n{left.message}"
        raise ClusterError(told, failed.remedy, failed.reason) from None


def strike(kubectl: Kubectl, names: Sequence[str], seconds: float = _GONE_SECONDS) -> None:
    """Delete namespaces, and wait until they are gone. ClusterError naming those that stay."""
    kubectl = kubectl.anew()
    for name in names:
        kubectl.delete_namespace(name)
    deadline = time.monotonic() + seconds
    left = [*names]
    while True:
        found = {name: kubectl.get(Right("get", "namespaces", name=name)) for name in left}
        left = [name for name, one in found.items() if one is not None]
        if not left:
            return
        if time.monotonic() > deadline:
            raise _stuck(found[left[0]] or {}, left, seconds)
        time.sleep(_POLL_SECONDS)


def leftovers(kubectl: Kubectl) -> list[Leftover]:
    """Every namespace that a run of ours made and did not delete."""
    found = kubectl.listed(Right("list", "namespaces"), _noted)
    return [
        Leftover(
            one["metadata"]["name"],
            one["metadata"]["annotations"].get(_BY, ""),
            bool(one["metadata"].get("deletionTimestamp")),
        )
        for one in found
        if one["metadata"]["labels"].get(LABEL) == _MAKER
        and one["metadata"]["name"].startswith(PREFIX)
    ]


def labelled(value: Object, namespace: str) -> Object:
    """An object of ours, in its namespace."""
    metadata = value["metadata"]
    labels = {**(metadata.get("labels") or {}), LABEL: _MAKER}
    return value | {"metadata": metadata | {"namespace": namespace, "labels": labels}}


def _noted(namespace: Object) -> Object:
    metadata = namespace["metadata"]
    kept = {key: metadata.get(key) for key in ("name", "deletionTimestamp")}
    return {"metadata": kept | {key: metadata.get(key) or {} for key in ("labels", "annotations")}}


def _namespace(name: str, privileged: bool) -> Object:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # Windows has no pwd
        user = "somebody"
    made = f"{user} at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    labels = {LABEL: _MAKER} | ({_ENFORCED: "privileged"} if privileged else {})
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels, "annotations": {_BY: made}},
    }


def _stuck(namespace: Object, names: Sequence[str], seconds: float) -> ClusterError:
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    why = "; ".join(
        one["message"] for one in conditions if one.get("status") == "True" and one.get("message")
    )
    told = f" ({why})" if why else ""
    return ClusterError(
        f"still there {seconds:g} s after it was deleted: namespace {', '.join(names)}{told}",
        "`secondhop cleanup` tries again; finalizers that nobody serves keep a namespace forever.",
        "Terminating",
    )


class _Interrupts:
    """Whether SIGINT and SIGTERM are heard."""

    def __init__(self) -> None:
        self.heard = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            raise KeyboardInterrupt


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    handler = _Interrupts()
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield handler
    finally:
        for number, old in before.items():
            signal.signal(number, old)
