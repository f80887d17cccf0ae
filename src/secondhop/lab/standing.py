"""The supervisor's life in a lab that stays: the embedded cluster, its API on a port, and answers
to the `secondhop lab` commands."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import resource
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..apiserver.bootstrap import bootstrap
from ..apiserver.http.app import App
from ..apiserver.http.credentials import Credentials, make_credentials, server_context
from ..apiserver.http.kubeconfig import kubeconfig
from ..apiserver.http.serve import serving
from ..client import Api, Object, meta
from ..controllers.balancer import LoadBalancers
from ..controllers.conditions import is_true
from ..controllers.eligibility import taints_of
from ..controllers.nodes import NOT_READY
from ..controllers.run import CONTROLLERS
from ..controllers.run import run as run_controllers
from ..errors import DEFECT, LabError, SecondhopError, UsageError
from ..manifests import Lab
from ..manifests.stored import stored_pods
from ..model.cluster import Cluster
from .control import Answer, packed, serve, unpacked
from .embedded import Embedded, PodAgent, first_of
from .entrance import Entrances
from .faults import inject
from .forward import forwarding
from .nodeapi import listeners
from .ordered import create, settings
from .orphans import reap
from .state import write_secret
from .timing import timing

if TYPE_CHECKING:
    from .daemon import Daemon
    from .stockproxy import Stock

_READY_SECONDS = 60.0
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC)


@dataclass(frozen=True, slots=True)
class Order:
    """A lab as it was asked for. described: what its Lab document says. objects: to be created once
    the nodes are ready. kubeconfig: the file to be written, in a folder that goes with the lab.
    kube_proxy, control_plane: absolute paths of a stock kube-proxy, and of the folder that has the
    programs of the real control plane; None for our own."""

    name: str
    base: Cluster
    described: Lab
    objects: Sequence[Object]
    kubeconfig: Path
    kube_proxy: str | None = None
    control_plane: Path | None = None

    @property
    def seats(self) -> list[str]:
        """Who sits in seats of ours."""
        taken = {"control plane": self.control_plane, "kube-proxy": self.kube_proxy}
        return [f"{seat}: {program}" for seat, program in taken.items() if program is not None]


def main(order: Order, channel: socket.socket, control: socket.socket, api: socket.socket) -> None:
    """Live until killed. What is told on the channel, and how this ends, says `keeper`."""

    def tell(**message: Any) -> None:
        channel.sendall(json.dumps(message).encode() + b"\n")

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for listener in (control, api):
        listener.setblocking(False)
    try:
        asyncio.run(_Standing(order).live(control, api, tell))
    except BaseExceptionGroup as group:
        _tell_of(first_of(group), tell)
    except Exception as error:
        _tell_of(error, tell)


def _tell_of(error: BaseException, tell: Any) -> None:
    if isinstance(error, SecondhopError):
        tell(error=error.message, remedy=error.remedy, exitCode=error.exit_code)
        return
    if isinstance(error, OSError) and error.errno in _SHORT:
        said = f"the system refuses the lab what it needs: {error.strerror}"
        tell(error=said, remedy="Raise the limit (`ulimit -a`), or make it smaller.", exitCode=3)
        return
    said = "".join(traceback.format_exception(error))
    tell(error=said, remedy=DEFECT, exitCode=3)


class _Standing:
    """One lab."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._begun = time.time()
        self._tracing = asyncio.Lock()
        self._entrances = Entrances()

    async def live(self, control: socket.socket, api: socket.socket, tell: Any) -> None:
        """Build it, tell that it is ready, and stay."""
        order = self._order
        port = api.getsockname()[1]
        self._url = f"https://127.0.0.1:{port}"
        credentials = make_credentials(["127.0.0.1", "localhost"])
        config = kubeconfig(f"lab-{order.name}", self._url, credentials)
        write_secret(order.kubeconfig, config)
        folder, stock = order.kubeconfig.parent, None
        if order.kube_proxy is not None:
            from .stockproxy import Stock  # most labs have seats of our own only

            stock = Stock(order.kube_proxy, config, folder)
        async with contextlib.AsyncExitStack() as stack:
            if order.control_plane is None:
                answering = self._ours(api, credentials, stock)
                daemons: Sequence[Daemon] = ()
                controllers = CONTROLLERS
            else:
                from .controlplane import ControlPlane  # an HTTP client, for one

                grace = order.described.node_grace_seconds
                plane = ControlPlane(
                    order.control_plane, folder / "control-plane", port, credentials, config, grace
                )
                running = plane.running(order.base, lambda doing: tell(doing=doing))
                client, daemons = await stack.enter_async_context(running)
                self._lab = self._embedded(stock, client)
                answering = forwarding(self._listeners(api), port)
                controllers = (LoadBalancers,)
            wanted = settings(order.described, order.base.kube_version)
            await stack.enter_async_context(answering)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for daemon in daemons:
                group.create_task(daemon.ended())
            group.create_task(self._lab.run())
            group.create_task(run_controllers(self._lab.api, wanted, controllers))
            group.create_task(serve(control, self._answer))
            group.create_task(reap())
            await self._ready(tell)

    def _ours(
        self, api: socket.socket, credentials: Credentials, stock: Stock | None
    ) -> AbstractAsyncContextManager[None]:
        """The embedded cluster with a server of its own; answers in that context."""
        base, port = self._order.base, api.getsockname()[1]
        self._lab = self._embedded(stock)
        bootstrap(self._lab.server, base.cni.service_cidrs[0], port)
        agent = PodAgent(self._lab.api, self._lab.kubelets)
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        app = App(self._lab.server, agent, credentials, hosts)
        return serving(app, self._listeners(api), server_context(credentials))

    def _embedded(self, stock: Stock | None, api: Api | None = None) -> Embedded:
        described = self._order.described
        quickly = timing(described.node_grace_seconds)
        return Embedded(self._order.base, quickly, described.balancer, stock=stock, api=api)

    def _listeners(self, api: socket.socket) -> list[socket.socket]:
        """Where the API is: on this machine, in the client and, if somebody asks there, on every
        node, at the same port."""
        port, wiring = api.getsockname()[1], self._lab.wiring
        on_nodes = listeners(wiring.nodes.values(), port) if self._order.kube_proxy else []
        return [api, *listeners([wiring.client], port), *on_nodes]

    async def _ready(self, tell: Any) -> None:
        wanted = len(self._order.base.nodes)
        tell(doing=f"waiting for {wanted} node{'s' if wanted > 1 else ''}")
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while sum(map(_takes_pods, await self._nodes())) < wanted:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise LabError(
                f"the nodes were not ready within {_READY_SECONDS:.0f} s", "Ask for fewer nodes."
            ) from None
        await create(self._lab.api, self._order.objects)
        tell(ready=True, url=self._url)

    async def _nodes(self) -> Sequence[Object]:
        return (await self._lab.api.list("Node")).items

    # --- questions ----------------------------------------------------------------------------

    async def _answer(self, question: Mapping[str, Any]) -> Answer:
        match question:
            case {"verb": "enter", "where": str(where)}:
                return self._entrances.of(self._lab, where)
            case {"verb": "status"}:
                return Answer(await self._status())
            case {"verb": "inject", "fault": str(fault), "target": str(target)}:
                await inject(self._lab, fault, target)
                return Answer(None)
            case {"verb": "cluster"}:
                return Answer(packed(await self._cluster()))
            case {"verb": "trace", "place": str(place), "flow": str(flow)}:
                from .recorder import record

                async with self._tracing:
                    return Answer(packed(await record(self._lab, place, unpacked(flow))))
        raise UsageError("the lab does not know this question", "Use `secondhop lab --help`.")

    async def _cluster(self) -> Cluster:
        """What the API says now. Waits until the nodes' rules say the same."""
        await self._lab.agreed(lambda now: now == self._lab.view.cluster)
        pods = (await self._lab.api.list("Pod")).items
        return replace(self._lab.view.cluster, pods=stored_pods(pods))

    async def _status(self) -> Any:
        nodes = await self._nodes()
        pods = (await self._lab.api.list("Pod")).items
        return {
            "name": self._order.name,
            "url": self._url,
            "seconds": time.time() - self._begun,
            "memoryMiB": _memory_mib(),
            "seats": self._order.seats,
            "nodes": [{"name": meta(node)[1], "ready": is_true(node, "Ready")} for node in nodes],
            "pods": {"all": len(pods), "ready": sum(is_true(pod, "Ready") for pod in pods)},
            "services": len((await self._lab.api.list("Service")).items),
        }


def _takes_pods(node: Object) -> bool:
    """Whether it is Ready, and the controllers have heard of it."""
    return is_true(node, "Ready") and NOT_READY not in {t["key"] for t in taints_of(node)}


def _memory_mib() -> float:
    """What this process holds that no other does."""
    with open("/proc/self/smaps_rollup") as rollup:
        fields = dict(line.split(":", 1) for line in list(rollup)[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) / 1024
