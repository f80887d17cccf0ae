"""A cluster without machines: the API and its controllers, kubelets that only pretend, and an event
loop whose time leaps to the next thing that happens."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, TypeVar

from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.local import LocalApi
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.client import Api, Object, meta
from secondhop.client.api import Deletion
from secondhop.client.informer import Key
from secondhop.controllers.loop import Context, Controller, Settings
from secondhop.controllers.owners import deleting
from secondhop.controllers.pods import node_of, phase
from secondhop.controllers.run import CONTROLLERS, run
from secondhop.controllers.times import stamp

T = TypeVar("T")
EPOCH = 1_700_000_000.0
NEVER = 1e6  # seconds


class Leaps(selectors.SelectSelector):
    """Never waits: time passes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen"
        self.passed += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour takes no longer than what happens in it."""

    def __init__(self) -> None:
        self._leaps = Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.passed


def virtually(coroutine: Awaitable[T]) -> T:
    """Run a coroutine in a time of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def main() -> T:
            return await coroutine

        return runner.run(main())


def now() -> float:
    return EPOCH + asyncio.get_running_loop().time()


class Kubelets(Controller):
    """All kubelets: bound pods run and are ready after a moment, unless their image is `broken`;
    deleted ones end. What happens on a dead node nobody tells."""

    name = "kubelet"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pods = context.cache("Pod")
        self.dead: set[str] = set()
        self._next = 1
        self.pods.listen(lambda key, *_: self.queue.add(key))

    async def reconcile(self, key: Key) -> float | None:
        pod = self.pods.get(key)
        if pod is None or node_of(pod) in self.dead or not node_of(pod):
            return None
        if deleting(pod):
            await self.context.api.delete("Pod", key[1], key[0], Deletion(grace=0))
        elif phase(pod) == "Pending":
            self._next += 1
            ready = pod["spec"]["containers"][0]["image"] != "broken"
            address = f"10.42.{self._next // 250}.{self._next % 250}"
            await self.tell(pod, ready, phase="Running", podIP=address, podIPs=[{"ip": address}])
        return None

    async def tell(self, pod: Object, ready: bool, **status: Any) -> None:
        told = [{"type": "PodScheduled", "status": "True"}]
        told.append({"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(now())})
        status = {**(pod.get("status") or {}), **status, "conditions": told}
        await self.pods.update({**pod, "status": status}, "status")


class Cluster:
    """What a test has in hand."""

    def __init__(self, api: Api, store: Store, kubelets: Kubelets) -> None:
        self.api, self._store, self.kubelets = api, store, kubelets

    async def settle(self, limit: float = 300) -> None:
        """Until nothing is written for three seconds; within so many seconds."""
        calm = 0
        for _ in range(int(limit)):
            before = self._store.revision
            await asyncio.sleep(1)
            calm = calm + 1 if self._store.revision == before else 0
            if calm == 3:
                return
        raise AssertionError(f"no rest within {limit} s")

    async def apply(self, *values: Object) -> None:
        """Create objects in `default`, and let the cluster settle."""
        for value in values:
            metadata = {"namespace": "default", **value["metadata"]}
            if value["kind"] in ("Node", "Namespace"):
                metadata.pop("namespace")
            await self.api.create({**value, "metadata": metadata})
        await self.settle()

    async def patch(self, kind: str, name: str, patch: object, namespace: str = "default") -> None:
        await self.api.patch(kind, name, namespace, patch)
        await self.settle()

    async def delete(self, kind: str, name: str, namespace: str = "default", **how: Any) -> None:
        await self.api.delete(kind, name, namespace, Deletion(**how))
        await self.settle()

    async def all(self, kind: str, namespace: str = "default", labels: str = "") -> list[Object]:
        namespace = "" if kind in ("Node", "Namespace") else namespace
        return list((await self.api.list(kind, namespace, labels=labels)).items)

    async def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        namespace = "" if kind in ("Node", "Namespace") else namespace
        return await self.api.get(kind, name, namespace)

    async def names(self, kind: str, namespace: str = "default") -> list[str]:
        return [meta(one)[1] for one in await self.all(kind, namespace)]

    async def nodes_of(self, labels: str = "") -> list[str]:
        """Where the pods are that stay, sorted."""
        pods = await self.all("Pod", labels=labels)
        return sorted(node_of(pod) for pod in pods if not deleting(pod))

    async def told(self, reason: str) -> list[str]:
        """The messages of Events, sorted."""
        events = await self.all("Event", "")
        return sorted(one["message"] for one in events if one["reason"] == reason)


def play(
    scenario: Callable[[Cluster], Awaitable[T]],
    *,
    nodes: Sequence[Object] = (),
    only: Sequence[Callable[[Context], Controller]] = CONTROLLERS,
    wrapped: Callable[[Api], Api] = lambda api: api,
    **settings: Any,
) -> T:
    """Play a scenario on a cluster of these nodes (two, if none are given)."""

    async def main() -> T:
        store = Store()
        cidr = ip_network("10.43.0.0/16")
        server = Server(store, [cidr], now)
        bootstrap(server, cidr)
        api = LocalApi(server)
        for one in nodes or (node("a"), node("b")):
            await api.create(one)
        kubelets: list[Kubelets] = []

        def pretend(context: Context) -> Kubelets:
            kubelets.append(Kubelets(context))
            return kubelets[0]

        chosen = replace(Settings(node_grace_seconds=NEVER, now=now), **settings)
        tasks = [
            asyncio.ensure_future(run(wrapped(api), chosen, only)),
            asyncio.ensure_future(run(api, chosen, [pretend])),
        ]
        await asyncio.sleep(1)
        try:
            return await scenario(Cluster(api, store, kubelets[0]))
        finally:
            for task in tasks:
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

    mistakes = Mistakes()
    logging.getLogger("secondhop").addHandler(mistakes)
    try:
        return virtually(main())
    finally:
        logging.getLogger("secondhop").removeHandler(mistakes)
        assert not mistakes.told, mistakes.told[0]


class Mistakes(logging.Handler):
    """What controllers log is a mistake of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(self.format(record))


def node(name: str, *, zone: str = "", ready: str = "True", **fields: Any) -> Object:
    """A node, ready unless said otherwise; keyword arguments are its spec."""
    labels = {"kubernetes.io/hostname": name}
    labels |= {"topology.kubernetes.io/zone": zone} if zone else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": fields,
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def template(app: str, image: str = "traefik/whoami", **spec: Any) -> Object:
    """A pod template with the label app=APP; keyword arguments go to the pod's spec."""
    spec = {"containers": [{"name": "whoami", "image": image}], **spec}
    spec.setdefault("terminationGracePeriodSeconds", 30)
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def deployment(
    name: str = "web", replicas: int = 3, image: str = "traefik/whoami", **fields: Any
) -> Object:
    """A Deployment of pods app=NAME; `pod` goes to the pod's spec, the rest to its own."""
    pod = fields.pop("pod", {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image, **pod),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **fields,
        },
    }


def daemon_set(name: str = "agent", **fields: Any) -> Object:
    """A DaemonSet of pods app=NAME; keyword arguments go to its spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            **fields,
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    """A Service of port 80 for pods app=NAME; keyword arguments go to its spec."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
