"""What goes wrong in a cluster, or is done to it.

Nobody is told: kubelets, controllers, proxies and the balancer find out by themselves. A node goes
by its name, a pod or a Deployment by `[NAMESPACE/]NAME`. A fault is there, or begun, when its
function returns. Each raises UsageError or ApiError if there is no such thing, LabError if it
fails.
"""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, TypeAlias

from ..client import Object, meta
from ..errors import ApiError, LabError, UsageError
from . import barrier
from .embedded import Embedded
from .health import port_of
from .request import status_of

_SECONDS = 10.0
_RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def cut(lab: Embedded, node: str) -> None:
    """A node's links go down: nothing reaches it, its kubelet does not reach the API."""
    lab.router.plug(_known(lab, node), False)


async def mend(lab: Embedded, node: str) -> None:
    """They come up again. Raises LabError if they do not."""
    lab.router.plug(_known(lab, node), True)
    await barrier.plugged(lab.router.cable(node))


async def kill(lab: Embedded, pod: str) -> None:
    """The processes of a pod end by SIGKILL; its kubelet restarts them."""
    if not any(kubelet.signal(*_split(pod), signal.SIGKILL) for kubelet in lab.kubelets.values()):
        raise _not_running(pod)


async def delete(lab: Embedded, pod: str) -> None:
    """A pod is deleted, with its own grace period."""
    namespace, name = _split(pod)
    await lab.api.delete("Pod", name, namespace)


async def answer(lab: Embedded, pod: str, *, status: int) -> None:
    """A pod of whoami answers its readiness probe, which must GET /health, with this status, and
    everything else as before."""
    namespace, name = _split(pod)
    found = await lab.api.get("Pod", name, namespace)
    if not (address := (found.get("status") or {}).get("podIP")):
        raise _not_running(pod)
    for container in found["spec"]["containers"]:
        asked = (container.get("readinessProbe") or {}).get("httpGet") or {}
        if asked.get("path") == "/health":
            where = lab.wiring.nodes[found["spec"]["nodeName"]].namespace
            try:
                port, body = port_of(container, asked["port"]), str(status).encode()
                async with asyncio.timeout(_SECONDS):
                    await status_of(where, ip_address(address), port, "/health", post=body)
            except (OSError, TimeoutError, ValueError) as error:
                said = f"pod {namespace}/{name} does not answer: {error or 'no reply'}"
                raise LabError(said, "See `kubectl logs`; it must run whoami.") from None
            return
    raise UsageError(
        f"pod {namespace}/{name} has no readiness probe that can be made to fail",
        "Give a container of whoami a readinessProbe with httpGet path /health.",
    )


async def cordon(lab: Embedded, node: str, *, unschedulable: bool = True) -> None:
    """A node gets no new pods, or gets them again."""
    await lab.api.patch("Node", node, "", {"spec": {"unschedulable": unschedulable or None}})


async def drain(lab: Embedded, node: str) -> None:
    """A node is cordoned, and its pods are evicted, but for those of DaemonSets."""
    await cordon(lab, node)
    pods = (await lab.api.list("Pod", fields=f"spec.nodeName={node}")).items
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or ()
        if not any(owner["kind"] == "DaemonSet" for owner in owners):
            await _evict(lab, pod)


async def roll(lab: Embedded, deployment: str) -> None:
    """A Deployment replaces all its pods, as after `kubectl rollout restart`."""
    namespace, name = _split(deployment)
    now = datetime.now(UTC).isoformat()
    template = {"metadata": {"annotations": {_RESTARTED: now}}}
    await lab.api.patch("Deployment", name, namespace, {"spec": {"template": template}})


Fault: TypeAlias = Callable[[Embedded, str], Awaitable[None]]
FAULTS: Mapping[str, Fault] = {
    "cut": cut,
    "mend": mend,
    "kill": kill,
    "delete": delete,
    "unready": functools.partial(answer, status=500),
    "ready": functools.partial(answer, status=200),
    "drain": drain,
    "uncordon": functools.partial(cordon, unschedulable=False),
    "roll": roll,
}
"""By the name that callers outside of the lab's process use."""


async def inject(lab: Embedded, fault: str, target: str) -> None:
    """Do one of them to a node, pod or Deployment."""
    if fault not in FAULTS:
        raise UsageError(f"there is no fault {fault}", f"Use one of {', '.join(FAULTS)}.")
    await FAULTS[fault](lab, target)


def _known(lab: Embedded, node: str) -> str:
    if node not in lab.kubelets:
        raise UsageError(f"there is no node {node}", f"Use one of {', '.join(lab.kubelets)}.")
    return node


def _not_running(pod: str) -> UsageError:
    return UsageError(f"no pod {'/'.join(_split(pod))} runs", "See `kubectl get pods -A`.")


def _split(name: str) -> tuple[str, str]:
    """Namespace and name."""
    namespace, _, own = name.rpartition("/")
    return namespace or "default", own


async def _evict(lab: Embedded, pod: Object) -> None:
    namespace, name = meta(pod)
    metadata: dict[str, Any] = {"namespace": namespace, "name": name}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    try:
        await lab.api.create(eviction, subresource="eviction")
    except ApiError as error:
        if error.code != 404:  # it has gone by itself
            raise
