"""Single rules of a node as they should not be: dropped or altered in what is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from support import lab, service, world

from secondhop.dataplane.node import Rules
from secondhop.model.cluster import Cluster, ProxyMode

NODES = [
    {"name": "gz1", "address": "192.168.8.1", "podCIDR": "10.42.0.0/24"},
    {"name": "xjp1", "address": "172.17.26.70", "podCIDR": "10.42.1.0/24"},
]


def endpoint_slice(name: str, *pods: tuple[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "nodeName": node,
                "targetRef": {"kind": "Pod", "name": f"{name}-{node}"},
            }
            for address, node in pods
        ],
    }


def few(mode: ProxyMode) -> Cluster:
    """A small cluster in which every kind of rule has something to do."""
    balanced = service(
        "wide",
        node_port=30001,
        type="LoadBalancer",
        clusterIP="10.43.0.11",
        loadBalancerSourceRanges=["10.42.0.0/16"],
    )
    return world(
        lab(NODES, proxy={"mode": mode}),
        service("near", node_port=30000, clusterIP="10.43.0.10", externalTrafficPolicy="Local"),
        balanced | {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}},
        service("nobody", node_port=30002, clusterIP="10.43.0.12"),
        endpoint_slice("near", ("10.42.1.2", "xjp1")),
        endpoint_slice("wide", ("10.42.0.3", "gz1"), ("10.42.1.3", "xjp1")),
    ).cluster


@dataclass(frozen=True)
class Mutant:
    """A rule, or an element of a set, as it would be wrong: the first text in it replaced by the
    second, or all of it left out where there is no second."""

    name: str
    mode: ProxyMode
    text: str
    instead: str | None = None

    def line(self, line: str) -> Iterator[str]:
        """What is loaded in the place of one line."""
        if self.text not in line:
            yield line
        elif self.instead is not None:
            yield line.replace(self.text, self.instead)

    def rules(self, right: Rules) -> Rules:
        """What is loaded in the place of all."""
        iptables = {
            table: {chain: self._lines(lines) for chain, lines in chains.items()}
            for table, chains in right.iptables.items()
        }
        table = right.nftables
        if table is not None:
            chains = {n: replace(c, rules=self._lines(c.rules)) for n, c in table.chains.items()}
            sets = {
                n: replace(s, elements=self._elements(s.elements)) for n, s in table.sets.items()
            }
            table = replace(table, chains=chains, sets=sets)
        return Rules(iptables, table)

    def _lines(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(made for line in lines for made in self.line(line))

    def _elements(self, elements: Mapping[str, str]) -> dict[str, str]:
        return {
            key: made.removeprefix(key)
            for key, value in elements.items()
            for made in self.line(f"{key}{value}")
        }


MUTANTS = (
    Mutant("the mark is never read", "iptables", "service traffic requiring SNAT"),
    Mutant("Cluster keeps the source", "iptables", "masquerade traffic for default/wide"),
    Mutant("Local drops nothing", "iptables", "has no local endpoints"),
    Mutant("Local binds pods, too", "iptables", "pod traffic for default/near"),
    Mutant("source ranges guard nothing", "iptables", "traffic not accepted by KUBE-FW"),
    Mutant("nobody hairpins", "iptables", "-s 10.42.1.2/32"),
    Mutant("Local drops nothing", "nftables", 'comment "default/near" : drop'),
    Mutant("a reject drops", "nftables", "goto reject-chain", "drop"),
    Mutant("the second of two is never chosen", "nftables", "1 : 10.42.1.3", "1 : 10.42.0.3"),
    Mutant("cluster IPs keep the source", "nftables", "masquerade clusterIP traffic"),
)
