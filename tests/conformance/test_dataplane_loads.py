"""Every ruleset that the cases lead to loads in a real kernel and reads there as it was written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from support import sandboxed

from secondhop.dataplane import node as dataplane
from secondhop.dataplane.iptables.layout import INVALID_COUNTER, LOCALHOST_COUNTER
from secondhop.dataplane.iptables.ruleset import Ruleset, transactions
from secondhop.lab.netlink import create_counters
from secondhop.lab.netns import Namespace
from secondhop.model.cluster import Cluster, Family, Node

from .cases import categorize
from .dataplane import selection_cluster, unit_flows
from .routed import scenarios

PROGRAM: dict[Family, str] = {4: "/usr/sbin/iptables-nft", 6: "/usr/sbin/ip6tables-nft"}


def situations() -> Iterator[tuple[Cluster, Node]]:
    """Every node of the unit tests, and one of each recording."""
    for flow in unit_flows():
        yield flow.cluster, flow.cluster.nodes[0]
    for selection in categorize():
        cluster = selection_cluster(selection)
        yield cluster, cluster.nodes[0]
    for number, scenario in enumerate(scenarios()):
        yield scenario.cluster, scenario.cluster.nodes[number % 3]


def differences(family: Family) -> tuple[int, list[str]]:
    """How many different rulesets were loaded one after the other, and every complaint."""
    namespace = Namespace.create("node")
    counters = create_counters(namespace, INVALID_COUNTER, LOCALHOST_COUNTER)
    loaded: list[Ruleset] = [{}]
    found = []
    for cluster, node in situations():
        rules = dataplane.rules(cluster, node, counters=counters, family=family)
        if rules in loaded:
            continue
        for text in transactions(loaded[-1], rules):
            found += run(namespace, f"{PROGRAM[family]}-restore", "--noflush", "-w", text=text)[1]
        loaded.append(rules)
        if by_chain(run(namespace, f"{PROGRAM[family]}-save")[0]) != written(rules):
            found.append(f"the kernel has other rules than {rules}")
    return len(loaded) - 1, found


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
