"""A node's kubelet: registers the node, runs the pods that are bound to it, and tells the API.

It knows the API by its interface only, and shares nothing with controllers and proxies but that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from ..apiserver.agent import Execution, LogOptions
from ..client import Api, Object, meta
from ..client.api import Deletion
from ..client.informer import Informer, Key
from ..controllers.events import Recorder
from ..errors import ApiError
from ..model.cluster import Address, Node
from .addresses import WISH, Addresses
from .capture import Arrivals
from .container import Home
from .nodestatus import internal_ips, is_well, node_object, node_status
from .pod import Seat
from .podlife import PodLife
from .podstatus import Record
from .rtnetlink import Netlink
from .timing import USUAL, Timing

if TYPE_CHECKING:
    from .process import Process

_LEASE_SECONDS = 40
LEASES = "kube-node-lease"


class Cables(Protocol):
    """The node's part of the wiring."""

    @property
    def netlink(self) -> Netlink:
        """The node itself."""
        ...

    async def plug(self, pod: str, addresses: Sequence[Address]) -> Netlink:
        """A namespace with eth0 and these addresses, ready to be used."""
        ...

    def unplug(self, pod: str) -> None:
        """Take it down."""
        ...


class Kubelet:
    """The kubelet of one node. `run` is its life."""

    def __init__(
        self,
        api: Api,
        node: Node,
        cables: Cables,
        events: Recorder,
        arrivals: Arrivals,
        labels: Mapping[str, str] | None = None,
        timing: Timing = USUAL,
    ) -> None:
        self._api, self._node, self._cables, self._events = api, node, cables, events
        self._arrivals = arrivals
        self._labels = labels or {}
        self.timing = timing
        self._addresses = Addresses(node)
        self._runs: dict[Key, PodLife] = {}
        self._tasks = asyncio.TaskGroup()
        self._pods = Informer(api, "Pod", self._changed, fields=f"spec.nodeName={node.name}")

    async def run(self) -> None:
        """Serve the node until cancelled."""
        await self._register()
        async with self._tasks as group:
            group.create_task(self._renew())
            group.create_task(self._pods.run())

    # --- the node ---------------------------------------------------------------------------

    async def _register(self) -> None:
        """Create the Node, however long the API is away."""
        while True:
            try:
                await self._api.create(node_object(self._node, self._labels))
                return
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    return
            except OSError:
                pass
            await asyncio.sleep(self.timing.retry)

    async def _renew(self) -> None:
        """The node's signs of life: its lease, and its status unless the API knows it well."""
        while True:
            with contextlib.suppress(ApiError, OSError):  # the next one tells
                await self._lease()
                name = self._node.name
                if not is_well(await self._api.get("Node", name)):
                    status = {"status": node_status(self._node)}
                    await self._api.patch("Node", name, "", status, subresource="status")
            await asyncio.sleep(self.timing.renew)

    async def _lease(self) -> None:
        name = self._node.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            await self._api.patch("Lease", name, LEASES, {"spec": spec})
        except ApiError as error:
            if error.code != 404:
                raise
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
            metadata = {"name": name, "namespace": LEASES}
            await self._api.create({**lease, "metadata": metadata, "spec": spec})

    # --- pods -------------------------------------------------------------------------------

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        run = self._runs.get(key)
        if run is not None and (after is None or after["metadata"]["uid"] != run.uid):
            run.cut()
            run = None
        if after is None:
            return
        if run is None:
            run = self._runs[key] = PodLife(self, after)
            self._tasks.create_task(self._contained(run, after))
        run.hear(after)

    async def _contained(self, run: PodLife, pod: Object) -> None:
        """A pod's life; a mistake in here costs this pod, and no other."""
        try:
            await run.life()
        except Exception as error:
            self._events.tell(pod, "kubelet", "FailedSync", f"secondhop: {error!r}", "Warning")
        finally:
            self.forget(pod)

    async def home(self, pod: Object) -> Home:
        """The pod's network, and its hostname: the pod's own name, or its node's if it shares the
        node's network, unless it says another."""
        node, spec = self._node.name, pod["spec"]
        if spec.get("hostNetwork"):
            said, own = spec.get("hostname", node), internal_ips(self._node)
            return Home(self._cables.netlink, said, own, node, self._arrivals, shared=True)
        wish = (pod["metadata"].get("annotations") or {}).get(WISH)
        own = self._addresses.wish(wish) if wish else self._addresses.take()
        try:
            netlink = await self._cables.plug(pod["metadata"]["uid"], own)
        except BaseException:
            self._addresses.give_back(own)
            raise
        said = spec.get("hostname", meta(pod)[1])
        return Home(netlink, said, own, node, self._arrivals, shared=False)

    def leave(self, pod: Object, home: Home) -> None:
        """Take the pod's network down."""
        if not home.host_network:
            self._cables.unplug(pod["metadata"]["uid"])
            self._addresses.give_back(home.addresses)

    def seat(self, pod: Object, changed: Callable[[], None]) -> Seat:
        """What a pod gets of this node."""
        namespace, _ = meta(pod)

        def event(type: str, reason: str, message: str) -> None:
            kind: Literal["Normal", "Warning"] = "Warning" if type == "Warning" else "Normal"
            self._events.tell(pod, "kubelet", reason, message, kind)

        async def config_map(name: str) -> Mapping[str, str] | None:
            try:
                found = await self._api.get("ConfigMap", name, namespace)
            except ApiError as error:
                if error.code == 404:
                    return None
                raise
            return found.get("data") or {}

        node, ips = self._cables.netlink.namespace, internal_ips(self._node)
        return Seat(node, ips, changed, event, config_map, self.timing)

    async def tell(self, pod: Object, status: Object) -> None:
        """Tell the API a pod's status."""
        namespace, name = meta(pod)
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        await self._api.patch("Pod", name, namespace, body, form="strategic", subresource="status")

    async def gone(self, pod: Object) -> None:
        """Tell the API that a pod's containers have ended and it may forget it."""
        namespace, name = meta(pod)
        try:
            await self._api.delete(
                "Pod", name, namespace, Deletion(grace=0, uid=pod["metadata"]["uid"])
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def forget(self, pod: Object) -> None:
        """A pod is gone."""
        run = self._runs.get(meta(pod))
        if run is not None and run.uid == pod["metadata"]["uid"]:
            del self._runs[meta(pod)]

    # --- what the API passes on -------------------------------------------------------------

    def logs(
        self, namespace: str, name: str, container: str | None, options: LogOptions
    ) -> AsyncIterator[bytes]:
        """See apiserver.agent.Agent."""
        record = self._record(namespace, name, container)
        log = record.previous if options.previous else record.log
        if log is None:
            which = "previous terminated container" if options.previous else "container"
            said = f'{which} "{record.name}" in pod "{name}" is waiting to start: {record.waits}'
            if options.previous:
                said = f'{which} "{record.name}" in pod "{name}" not found'
            raise ApiError(400, "BadRequest", said)
        return log.read(options)

    async def execute(
        self,
        namespace: str,
        name: str,
        container: str | None,
        command: list[str],
        *,
        stdin: bool,
        tty: bool,
    ) -> Execution:
        """See apiserver.agent.Agent."""
        record = self._record(namespace, name, container)
        run = self._runs[namespace, name]
        if record.container is None or run.home is None:
            raise ApiError(400, "BadRequest", f"container {record.name} is not running")
        from .execution import Execution as Running

        try:
            return await Running.begin(
                run.home, record.container, command, {}, stdin=stdin, tty=tty
            )
        except OSError as error:
            said = f'exec: "{command[0]}": {error.strerror}'
            raise ApiError(500, "InternalError", said) from None

    def inside(self, namespace: str, name: str) -> tuple[str, Process | None] | None:
        """Whose network a pod of this node uses (`node/NAME`, `pod/UID`), and a program that has
        its other namespaces, if one runs; None if it is not here."""
        run = self._runs.get((namespace, name))
        if run is None or run.home is None or run.pod_run is None:
            return None
        where = f"node/{self._node.name}" if run.home.host_network else f"pod/{run.uid}"
        running = [r.container.program for r in run.pod_run.records if r.container is not None]
        return where, next((p for p in running if p is not None and p.running), None)

    def signal(self, namespace: str, name: str, number: int) -> bool:
        """Send a signal to the processes of a pod's containers, behind the pod's back; whether it
        runs here."""
        run = self._runs.get((namespace, name))
        if run is None or run.pod_run is None:
            return False
        for record in run.pod_run.records:
            if record.container is not None:
                record.container.signal(number)
        return True

    def _record(self, namespace: str, name: str, container: str | None) -> Record:
        run = self._runs.get((namespace, name))
        if run is None or run.pod_run is None:
            said = f'pod "{name}" is waiting to start: ContainerCreating'
            raise ApiError(400, "BadRequest", said)
        record = run.pod_run.record(container)
        if record is None:
            said = f"container {container} is not valid for pod {name}"
            raise ApiError(400, "BadRequest", said)
        return record
