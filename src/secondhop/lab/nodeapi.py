"""The lab's API on every node's 127.0.0.1, where a stock kube-proxy finds it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from ..apiserver.http.app import App
from ..apiserver.http.credentials import make_credentials, server_context
from ..apiserver.http.kubeconfig import kubeconfig
from ..apiserver.http.serve import serving
from ..model.cluster import Cluster
from .embedded import Embedded, PodAgent
from .rtnetlink import Netlink
from .stockproxy import Stock

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
async def stocked(cluster: Cluster, kube_proxy: str) -> AsyncIterator[Embedded]:
    """An embedded cluster with a stock kube-proxy on every node, its API served to them."""
    credentials = make_credentials(["127.0.0.1"])
    config = kubeconfig("lab", f"https://127.0.0.1:{_PORT}", credentials)
    lab = Embedded(cluster, stock=Stock(kube_proxy, config))
    agent = PodAgent(lab.api, lab.kubelets)
    app = App(lab.server, agent, credentials, [f"127.0.0.1:{_PORT}"])
    async with serving(
        app, listeners(lab.wiring.nodes.values(), _PORT), server_context(credentials)
    ):
        yield lab
