"""The rules of a lab node against those that a stock kube-proxy v1.36.2 wrote for the same objects:
policies, source ranges, external and load balancer IPs, affinity, terminating pods, UDP, both
families.

data/stock.json: the objects; the rest is what iptables-save, ip6tables-save and `nft list` said.
kube-proxy goes through Services in no order, so rules of chains that they share have none.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest
from support import nft_contents, sandboxed

from secondhop.apiserver.bootstrap import bootstrap
from secondhop.apiserver.local import LocalApi
from secondhop.apiserver.server import Server
from secondhop.apiserver.store import Store
from secondhop.dataplane import node as dataplane
from secondhop.dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from secondhop.dataplane.nftables.layout import rules as nftables_rules
from secondhop.lab import iptables
from secondhop.lab.netlink import create_counters
from secondhop.lab.netns import Namespace
from secondhop.lab.nftables import Context, Loader
from secondhop.lab.view import View
from secondhop.model.cluster import Cluster, Cni, Family, Node, Proxy, ProxyMode

DATA = Path(__file__).parent / "data"
CIDRS = ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")
PODS = ip_network("10.42.0.0/16"), ip_network("fd00:42::/56")
NODE = Node("gz1", (ip_interface("192.168.8.1/24"), ip_interface("fd00:8::1/64")))
FAMILIES: tuple[Family, ...] = (4, 6)
SHARED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
LAST = "this must be the last rule in this chain"


async def seen(mode: ProxyMode) -> Cluster:
    """The cluster that our proxies see when the API has the objects."""
    server = Server(Store(), CIDRS)
    bootstrap(server, CIDRS[0])
    api = LocalApi(server)
    wanted = json.loads((DATA / "stock.json").read_text())
    for value in wanted:
        await api.create(value)
        if "status" in value:
            status, name = {"status": value["status"]}, value["metadata"]["name"]
            await api.patch(value["kind"], name, "default", status, subresource="status")
    view = View(
        api, Cluster((NODE,), cni=Cni(service_cidrs=CIDRS), proxy=Proxy(mode, detect_local=PODS))
    )
    following = asyncio.create_task(view.run())
    await view.filled()
    following.cancel()
    return view.cluster


def loaded(family: Family) -> str:
    """What iptables-save says in a lab node."""
    cluster = asyncio.run(seen("iptables"))
    namespace = Namespace.create("gz1")
    assert create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
    rules = dataplane.rules(cluster, cluster.nodes[0], counters=True, family=family)

    async def load() -> None:
        await iptables.Loader(namespace, family).sync(rules.iptables)

    asyncio.run(load())
    program = "iptables" if family == 4 else "ip6tables"
    with namespace:
        command = [f"/usr/sbin/{program}-nft-save"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def by_chain(text: str) -> dict[tuple[str, str], list[str]]:
    """Rules by table and chain, in their order where they have one."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and " - " in line:
            found[table, line[1:].split()[0]] = []
        elif line.startswith("-A"):
            found.setdefault((table, line.split()[1]), []).append(line.rstrip())
    for (_, chain), rules in found.items():
        if chain in SHARED:
            rules.sort(key=lambda rule: (LAST in rule, rule))
    return found


@pytest.mark.parametrize(("family", "recorded"), [(4, "stock.rules"), (6, "stock.rules6")])
def test_iptables(family: Family, recorded: str) -> None:
    """Chains, names, comments, matches, targets, and the order of rules where it matters."""
    want = by_chain((DATA / recorded).read_text())
    assert len(want) > 60
    assert by_chain(sandboxed(lambda: loaded(family))) == want


def tables() -> tuple[list[Any], list[Any]]:
    """Ours of both families, and the recorded ones, as the same kernel and nft tell them."""
    cluster = asyncio.run(seen("nftables"))
    ours, theirs = Namespace.create("gz1"), Namespace.create("recorded")
    for family in FAMILIES:
        table = nftables_rules(cluster, cluster.nodes[0], family)
        asyncio.run(Loader(ours).sync(table))
    Context(theirs).run((DATA / "stock.nft").read_text())
    return nft_contents(ours), nft_contents(theirs)


def test_nftables() -> None:
    """Sets, maps, chains, names, comments, elements, and the rules of every chain in order."""
    ours, theirs = sandboxed(tables)
    assert len(theirs) > 200
    assert ours == theirs
