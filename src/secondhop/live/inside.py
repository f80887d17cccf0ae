"""Connections from inside the cluster: curl in a short-lived pod of ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from ..errors import ClusterError
from ..model.cluster import Address
from ..model.fate import Fate
from ..model.flow import Destination, Flow, Source
from ..model.probing import Answer, Tried
from .dialling import Attempt, summary
from .experiment import complaints, until
from .kubectl import Kubectl, Object, Right
from .stage import labelled
from .telling import Teller, Told

POD = "probe"
_POD_SECONDS = 120.0
_REPLY_SECONDS = 3.0
_SILENT_ATTEMPTS = 3
_MARK = "\x1e"
_WRITTEN = f"{_MARK}%{{exitcode}} %{{http_code}} %{{time_connect}}{_MARK}"
_TRANSFER = re.compile(f"(.*?){_MARK}(\\d+) (\\d+) ([\\d.]+){_MARK}", re.S)
_UNROUTABLE = re.compile(r"No route to host|(?:Network|Host) is unreachable")
_CONNECT, _TIMEOUT = 7, 28


class Post(NamedTuple):
    """A pod to probe from. on_host: with its node's network. node: where, None for anywhere."""

    image: str
    on_host: bool
    node: str | None = None


def post(kubectl: Kubectl, namespace: str, wish: Post) -> Source:
    """Make the pod and wait for it; who it is to the cluster. ClusterError if it does not come."""
    kubectl.apply([_pod(namespace, wish)], f"create pods/{POD} in namespace {namespace}")
    right = Right("get", "pods", namespace=namespace, name=POD)

    def ready() -> bool:
        status = (kubectl.get(right) or {}).get("status") or {}
        conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
        return conditions.get("Ready") == "True" and bool(status.get("podIP"))

    if not until(ready, _POD_SECONDS):
        raise ClusterError(
            f"the pod to probe from was not ready within {_POD_SECONDS:g} s:"
            f" {complaints([kubectl.get(right) or {}])}",
            "If it is for the image, name one with curl that the nodes can pull with --image, a"
            " mirror's say; if it is for the node, another with --on.",
            "NotReady",
        )
    found = kubectl.get(right) or {}
    node, ip = found["spec"]["nodeName"], ip_address(found["status"]["podIP"])
    return Source("node", node, ip, node) if wish.on_host else Source("pod", POD, ip, node)


def _pod(namespace: str, wish: Post) -> Object:
    container = {"name": POD, "image": wish.image, "command": ["sleep", "3600"]}
    spec: Object = {
        "containers": [container],
        "hostNetwork": wish.on_host,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Never",
    }
    if wish.node is not None:
        spec["nodeSelector"] = {"kubernetes.io/hostname": wish.node}
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
    return labelled(value, namespace)


class Inside:
    """Dials from the pod, as a Dialler does from here. One connection after the other, so silence
    is waited for a few times only."""

    def __init__(self, kubectl: Kubectl, namespace: str, seconds: float, teller: Teller) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._seconds = seconds
        self._teller = teller

    async def observe(self, flow: Flow, node: str | None, attempts: int) -> Tried:
        """Fresh connections, summed up."""
        made = await self._attempts(flow.destination, 1)
        rest = min(attempts, _SILENT_ATTEMPTS) if made[0].fate is Fate.DROPPED else attempts
        if rest > 1:
            made += await self._attempts(flow.destination, rest - 1)
        told = next((a for a in made if a.status is not None), made[0])
        return Tried(flow, summary(made), node, status=told.status, page=told.page)

    async def answer(self, address: Address, port: int) -> Answer:
        """What comes back from a port, be it a refusal."""
        (one,) = await self._attempts(Destination("address", address, port), 1)
        if one.fate is Fate.DELIVERED:
            return "connected"
        return "refused" if one.fate is Fate.CLOSED else "silent"

    async def _attempts(self, to: Destination, count: int) -> list[Attempt]:
        words = [
            "curl", "--silent", "--verbose", "--connect-timeout", f"{self._seconds:g}",
            "--max-time", f"{self._seconds + _REPLY_SECONDS:g}", "--header", "Connection: close",
            "--write-out", _WRITTEN, *[f"http://{to}/"] * count,
        ]  # fmt: skip
        out, said = await asyncio.to_thread(self._kubectl.execute, self._namespace, POD, words)
        made = [_attempt(found.groups(), said, self._teller) for found in _TRANSFER.finditer(out)]
        if len(made) != count:
            raise ClusterError(
                f"the pod's curl did not do as asked: {' '.join(said.split())[:200]}",
                "Name an image with curl 7.75 or newer with --image.",
                "NoCurl",
            )
        return made


def _attempt(transfer: Sequence[str], said: str, teller: Teller) -> Attempt:
    page, code, status, seconds = transfer
    if int(code) == _TIMEOUT and float(seconds) == 0:
        return Attempt(Fate.DROPPED, "no answer in time")
    if int(code) == _CONNECT:
        if _UNROUTABLE.search(said):
            return Attempt(Fate.UNROUTABLE, "no route from the pod")
        return Attempt(Fate.CLOSED, "refused, by RST or ICMP")
    evidence = "" if int(code) == 0 else f"connected; no HTTP reply (curl {code})"
    told = _told(page, teller)
    return Attempt(Fate.DELIVERED, evidence, told, float(seconds) * 1000, int(status) or None, page)


def _told(page: str, teller: Teller) -> Told:
    """What the page at / tells; no other is asked for."""
    conversation = teller()
    try:
        next(conversation)
        asked = conversation.send(page)
        while asked:
            asked = conversation.send("")
    except StopIteration as end:
        told: Told = end.value
        return told
    return Told()
