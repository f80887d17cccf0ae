"""Every ruleset that the cases lead to loads in a real kernel and reads there as it was written."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator

import pytest
from support import sandboxed

from secondhop.dataplane import node as dataplane
from secondhop.dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from secondhop.dataplane.iptables.ruleset import Ruleset, transactions
from secondhop.dataplane.nftables.ruleset import Table
from secondhop.lab.netlink import create_counters
from secondhop.lab.netns import Namespace
from secondhop.lab.nftables import Loader
from secondhop.model.cluster import Cluster, Family, Node, ProxyMode

from .cases import categorize, packetflow, recorded
from .dataplane import selection_cluster

BLOCK = re.compile(r"^\t(chain|set|map) (\S+) \{\n(.*?)^\t\}", re.M | re.S)
ELEMENTS = re.compile(r"elements = \{ (.*) \}", re.S)
PROGRAM: dict[Family, str] = {4: "/usr/sbin/iptables-nft", 6: "/usr/sbin/ip6tables-nft"}


def situations(mode: ProxyMode) -> Iterator[tuple[Cluster, Node]]:
    """Every node of the unit tests, and one of each recording."""
    clusters = [case.cluster for case in packetflow()]
    clusters += [selection_cluster(case, mode) for case in categorize()]
    clusters += [scenario.cluster for scenario in recorded()]
    for number, cluster in enumerate(clusters):
        if cluster.proxy.mode == mode:
            yield cluster, cluster.nodes[number % len(cluster.nodes)]


def differences(family: Family) -> tuple[int, list[str]]:
    """How many different rulesets were loaded one after the other, and every complaint."""
    namespace = Namespace.create("node")
    counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
    loaded: list[Ruleset] = [{}]
    found = []
    for cluster, node in situations("iptables"):
        rules = dataplane.rules(cluster, node, counters=counters, family=family).iptables
        if rules in loaded:
            continue
        for text in transactions(loaded[-1], rules):
            found += run(namespace, f"{PROGRAM[family]}-restore", "--noflush", "-w", text=text)[1]
        loaded.append(rules)
        if by_chain(run(namespace, f"{PROGRAM[family]}-save")[0]) != written(rules):
            found.append(f"the kernel has other rules than {rules}")
    return len(loaded) - 1, found


def nft_differences(family: Family) -> tuple[int, list[str]]:
    """The same of kube-proxy's tables."""
    namespace = Namespace.create("node")
    loader = Loader(namespace)
    loaded: list[Table] = []
    found = []
    for cluster, node in situations("nftables"):
        table = dataplane.rules(cluster, node, counters=False, family=family).nftables
        if table is None or table in loaded:
            continue
        asyncio.run(loader.sync(table))
        loaded.append(table)
        text, complaints = run(
            namespace, "/usr/sbin/nft", "-s", "list", "table", *table.name.split()
        )
        found += complaints
        if nft_read(text) != nft_written(table):
            found.append(f"the kernel has {nft_read(text)}, not {nft_written(table)}")
    return len(loaded), found


def nft_written(table: Table) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    chains = {name: [*chain.rules] for name, chain in table.chains.items()}
    sets = {name: sorted(k + v for k, v in s.elements.items()) for name, s in table.sets.items()}
    return chains, sets


def nft_read(text: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Rules by chain and elements by set, as nft prints them."""
    chains, sets = {}, {}
    for kind, name, body in BLOCK.findall(text):
        if kind == "chain":
            lines = [line.strip() for line in body.splitlines()]
            chains[name] = [x for x in lines if not x.startswith(("type ", "comment "))]
        else:
            listed = ELEMENTS.search(body)
            words = " ".join(listed[1].split()) if listed else ""
            sets[name] = sorted(one for one in words.split(", ") if one)
    return chains, sets


def run(namespace: Namespace, *command: str, text: str = "") -> tuple[str, list[str]]:
    """What a program prints in a namespace, and its complaint if it fails."""
    with namespace:
        done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.stdout, [done.stderr + text] if done.returncode else []


def written(rules: Ruleset) -> dict[tuple[str, str], list[str]]:
    return {(table, c): [*r] for table, chains in rules.items() for c, r in chains.items() if r}


def by_chain(saved: str) -> dict[tuple[str, str], list[str]]:
    """The rules of iptables-save. It prints the name of a counter after two blanks."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            _, chain, rule = line.split(" ", 2)
            found.setdefault((table, chain), []).append(rule.rstrip().replace("name  ", "name "))
    return found


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("family", "at_least"), [(4, 140), (6, 50)])
def test_the_kernel_takes_every_ruleset_as_written(family: Family, at_least: int) -> None:
    count, found = sandboxed(lambda: differences(family))
    assert found == []
    assert count >= at_least


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("family", "at_least"), [(4, 120), (6, 50)])
def test_the_kernel_takes_every_table_as_written(family: Family, at_least: int) -> None:
    count, found = sandboxed(lambda: nft_differences(family))
    assert found == []
    assert count >= at_least
