"""The lab's API on every node's 127.0.0.1, where a stock kube-proxy finds it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..model.cluster import Cluster
from .embedded import Embedded, PodAgent
from .named import missing_package
from .rtnetlink import Netlink
from .timing import USUAL, Timing

if TYPE_CHECKING:
    from ..manifests.lab_balancer import Balancer

_PORT = 6443


def listeners(machines: Iterable[Netlink], port: int) -> list[socket.socket]:
    """Sockets that listen on 127.0.0.1 of machines of the lab."""
    found = []
    for netlink in machines:
        listener = netlink.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        found.append(listener)
    return found


@asynccontextmanager
async def embedded(
    base: Cluster,
    kube_proxy: str | None,
    timing: Timing = USUAL,
    balancer: Balancer | None = None,
) -> AsyncIterator[Embedded]:
    """An embedded cluster, and with the path of a stock kube-proxy that one on every node, the API
    served to them. Raises EnvironmentUnable where a package for it is missing."""
    if kube_proxy is None:
        yield Embedded(base, timing, balancer)
        return
    try:
        from ..apiserver.http.app import App
        from ..apiserver.http.credentials import make_credentials, server_context
        from ..apiserver.http.kubeconfig import kubeconfig
        from ..apiserver.http.serve import serving
        from .stockproxy import Stock
    except ModuleNotFoundError as error:
        raise missing_package("the API for a stock kube-proxy", error) from None
    credentials = make_credentials(["127.0.0.1"])
    config = kubeconfig("lab", f"https://127.0.0.1:{_PORT}", credentials)
    lab = Embedded(base, timing, balancer, stock=Stock(kube_proxy, config))
    agent = PodAgent(lab.api, lab.kubelets)
    app = App(lab.server, agent, credentials, [f"127.0.0.1:{_PORT}"])
    on_nodes = listeners(lab.wiring.nodes.values(), _PORT)
    async with serving(app, on_nodes, server_context(credentials)):
        yield lab
