"""Groups of nodes say what each node would, and what a balancer makes of them is its shares."""

from collections import Counter, defaultdict
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from secondhop.model.cluster import Address, Cluster, Service
from secondhop.model.fate import Outcome
from secondhop.predict.balancers import BALANCERS
from secondhop.predict.entries import Entries
from secondhop.predict.landing import landings
from secondhop.predict.matrix import cells
from secondhop.predict.path import Paths
from secondhop.predict.share import Sender, shares

from .build import GZ1, NODES, XJP1, cluster, endpoint, node
from .strategies import clusters

CROWD = tuple(
    node(f"n{k}", k, f"192.168.22.{100 + k}/24", zone=("zone-a", "zone-b", None)[k % 3])
    for k in range(10, 16)
)
"""Nodes that hold no endpoint."""


@settings(max_examples=300, deadline=None)
@given(clusters())
def test_a_group_fares_as_each_of_its_nodes(there: Cluster) -> None:
    """The same fate and shares; the very pods, too, where nodes do not serve their own."""
    crowded = replace(there, nodes=there.nodes + CROWD)
    paths = Paths(crowded)
    told = {
        (to.kind, to.address, to.node or cell.flow.via): cell.outcome
        for cell in cells(crowded)
        if cell.flow.source.kind == "client" and (to := cell.flow.destination)
    }
    found = Counter[object]()
    for entry in Entries(paths).of(crowded.services[0]):
        pods = defaultdict[str, float](float)
        for member in entry.nodes:
            address = entry.address or member.address(entry.target.family)
            assert address is not None
            outcome = told[entry.kind, address, member.name]
            found[entry.kind, address, member.name] += 1
            assert seen(outcome) == seen(entry.outcome)
            if not entry.own:
                assert landed(outcome) == landed(entry.outcome)
            for backend in outcome.backends:
                pods[backend.pod] += backend.share / len(entry.nodes)
        shares = defaultdict[str, float](float)
        for pod, share in entry.shares():
            shares[pod] += share
        assert shares == pytest.approx(pods)
    vips = [i.ip for i in there.services[0].ingress if i.mode == "VIP"]
    assert found == Counter(
        (kind, address, entry)
        for kind, address, entry in told
        if kind in ("nodePort", "externalIP") or (kind == "loadBalancerIP" and address in vips)
    )


def seen(told: Outcome) -> object:
    """What does not hang on names."""
    return told.fate, told.client_ip, sorted(b.share for b in told.backends)


def landed(told: Outcome) -> object:
    return [(b.pod, b.node, b.share) for b in told.backends]


def admits(service: Service, client: Address) -> bool:
    ranges = [cidr for cidr in service.source_ranges if cidr.version == client.version]
    return not ranges or any(client in cidr for cidr in ranges)


@pytest.mark.parametrize("name", sorted(BALANCERS))
@given(there=clusters(), excluded=st.booleans())
def test_landings_are_the_shares(name: str, there: Cluster, excluded: bool) -> None:
    crowd = tuple(replace(n, excluded=excluded and n.zone is None) for n in CROWD)
    crowded = replace(there, nodes=there.nodes + crowd)
    service, paths = crowded.services[0], Paths(crowded)
    assume(all(admits(service, client.ip) for client in crowded.client))
    sender = Sender(paths, service, BALANCERS[name])
    found = list(landings(sender, Entries(paths).of(service)))
    expected = [s for s in shares(crowded, service, BALANCERS[name]) if not s.unsent]
    if BALANCERS[name].typed and service.type != "LoadBalancer":
        return
    spread = [(x.family, sorted(x.pods.items()), x.lost) for x in found]
    wanted = [(s.family, sorted(s.pods.items()), sum(s.lost.values())) for s in expected]
    for family, pods, lost in wanted:
        assert any(
            f == family
            and (BALANCERS[name].one_node or [p for p, _ in pods] == [p for p, _ in other])
            and [x for _, x in other] == pytest.approx([x for _, x in pods])
            and gone == pytest.approx(lost)
            for f, other, gone in spread
        )
    assert bool(spread) == bool(wanted)


def test_a_thousand_nodes_are_a_handful_of_walks() -> None:
    many = tuple(
        replace(
            GZ1,
            name=f"n{k}",
            addresses=(ip_interface(f"10.0.{k // 250}.{k % 250}/8"),),
            pod_cidrs=(),
        )
        for k in range(1000)
    )
    pods = [endpoint(GZ1), endpoint(XJP1), endpoint(GZ1, 3)]
    there = cluster(*pods, nodes=NODES + many, external_traffic_policy="Local")
    found = list(Entries(Paths(there)).of(there.services[0]))
    assert [(len(e.nodes), str(e.outcome.fate)) for e in found if e.target.family == 4] == [
        (1, "delivered"),
        (1, "delivered"),
        (1, "dropped"),  # sha1 has a pod CIDR
        (1000, "dropped"),
    ]
