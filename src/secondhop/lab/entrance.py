"""Where a program enters a lab that is to run in one of its places (enter.py is the program's
side)."""

from __future__ import annotations

import os

from ..errors import UsageError
from . import linux
from .control import Answer
from .embedded import Embedded
from .process import Process

_CONTAINER = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWPID
)


class Entrances:
    """Of a lab whose supervisor this process is."""

    def __init__(self) -> None:
        self._own = {
            name: os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            for name in ("user", "pid")
        }

    def of(self, lab: Embedded, where: str) -> Answer:
        """The namespaces of `client`, `router`, `node/NAME` or `pod/[NAMESPACE/]NAME`: pairs of a
        descriptor (by its place among those sent) and the kinds to enter."""
        user, kinds = self._own["user"], [linux.CLONE_NEWUSER]
        kind, _, name = where.partition("/")
        if kind == "pod":
            where, program = _pod(lab, name)
            if program is not None:
                return Answer([*kinds, _CONTAINER], [user, program.pidfd])
        try:
            network = lab.wiring.namespace(where)
        except KeyError:
            raise UsageError(
                f"there is no {where} in the lab",
                f"Use client, router, node/NAME ({', '.join(lab.kubelets)}) or pod/NAME.",
            ) from None
        kinds += [linux.CLONE_NEWNET, linux.CLONE_NEWPID]
        return Answer(kinds, [user, network.fd, self._own["pid"]])


def _pod(lab: Embedded, name: str) -> tuple[str, Process | None]:
    """Whose network a pod uses, and the program that has its other namespaces, if any."""
    namespace, _, name = name.rpartition("/")
    for kubelet in lab.kubelets.values():
        if (found := kubelet.inside(namespace or "default", name)) is not None:
            return found
    raise UsageError(
        f"no pod {namespace or 'default'}/{name} runs in the lab",
        "See `kubectl get pods -A`; write pod/NAMESPACE/NAME for another namespace.",
    )
