"""Our kube-proxy as a process of its own: bench/ownproxy.py KUBECONFIG MODE"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from machines import base

from secondhop.client.kubeconfig import read_kubeconfig
from secondhop.client.url import UrlApi
from secondhop.lab.netns import Namespace
from secondhop.lab.proxy import NodeProxy
from secondhop.lab.proxyloop import ProxyLoop
from secondhop.lab.view import View
from secondhop.model.cluster import ProxyMode


async def follow(access: Path, mode: ProxyMode) -> None:
    """Keep this namespace's rules in step with the API, for ever."""
    proxy = NodeProxy(Namespace.current("node"), lambda *_: None)
    loop = ProxyLoop("node", proxy, lambda *_: None)
    async with UrlApi(read_kubeconfig(access)) as api, asyncio.TaskGroup() as group:
        view = View(api, base(mode))
        group.create_task(view.run())
        group.create_task(loop.run(view))


if __name__ == "__main__":
    asyncio.run(follow(Path(sys.argv[1]), "iptables" if sys.argv[2] == "iptables" else "nftables"))
