"""What holds in every cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import in_proxy_order

from secondhop.model.cluster import Cluster, ProxyMode
from secondhop.model.fate import Fate
from secondhop.predict import predict
from secondhop.predict.matrix import cells

from .build import CLIENT, GZ1, client, endpoint, flow
from .strategies import clusters

OUTSIDE = client()


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_every_cell_is_told_and_adds_up(there: Cluster) -> None:
    for cell in cells(there):
        told = predict(there, cell.flow)
        assert cell.outcome == replace(told, steps=())
        assert told.reason
        assert told.steps
        shares = sum(backend.share for backend in told.backends)
        if told.fate is Fate.DELIVERED and told.http is None:
            assert shares == pytest.approx(1)
            assert told.client_ip is not None
        elif told.fate is Fate.MIXED:
            assert 0 < shares < 1
        else:
            assert (told.backends, told.client_ip) == ((), None)


@settings(deadline=None)
@given(clusters(hints=False, policy="Cluster", odd=False))
def test_under_cluster_the_entry_node_does_not_choose_the_pods(there: Cluster) -> None:
    found = [predict(there, flow(OUTSIDE, node)) for node in there.nodes]
    assert len({outcome.fate for outcome in found}) == 1
    assert len({tuple((b.pod, b.share) for b in outcome.backends) for outcome in found}) == 1


@settings(deadline=None)
@given(clusters(policy="Local"))
def test_under_local_pods_see_the_client_itself(there: Cluster) -> None:
    for node in there.nodes:
        answer = predict(there, flow(OUTSIDE, node))
        assert {str(b.source_ip) for b in answer.backends} <= {CLIENT}
        assert {(b.node, b.hops) for b in answer.backends} <= {(node.name, 1)}


@settings(deadline=None)
@given(clusters(hints=False))
def test_one_more_ready_local_pod_never_loses_a_flow(there: Cluster) -> None:
    ((name, before),) = there.endpoints.items()
    more = replace(there, endpoints={name: in_proxy_order((*before, endpoint(GZ1, 99)))})
    for cell in cells(there):
        entry = cell.flow.via or cell.flow.destination.node
        if cell.outcome.fate is Fate.DELIVERED and entry == "gz1":
            assert predict(more, cell.flow).fate is Fate.DELIVERED


@settings(deadline=None)
@given(clusters(odd=False))
def test_both_modes_treat_the_first_node_address_alike(there: Cluster) -> None:
    other: ProxyMode = "nftables" if there.proxy.mode == "iptables" else "iptables"
    twin = replace(there, proxy=replace(there.proxy, mode=other))
    for cell in cells(there):
        if cell.flow.destination.kind == "nodePort":
            again = predict(twin, cell.flow)
            assert (again.fate, again.backends) == (cell.outcome.fate, cell.outcome.backends)


@settings(deadline=None)
@given(clusters(odd=False))
def test_cluster_delivers_wherever_local_does(there: Cluster) -> None:
    service = there.services[0]
    by_policy = {
        policy: replace(there, services=(replace(service, external_traffic_policy=policy),))
        for policy in ("Cluster", "Local")
    }
    for node in there.nodes:
        sent = flow(OUTSIDE, node)
        local, everywhere = (predict(by_policy[p], sent) for p in ("Local", "Cluster"))
        if local.fate is Fate.DELIVERED:
            assert everywhere.fate is Fate.DELIVERED
        assert (local.fate is Fate.REJECTED) == (everywhere.fate is Fate.REJECTED)


@settings(deadline=None)
@given(clusters(odd=False), st.integers(0, 2))
def test_the_health_check_says_whether_a_ready_pod_is_here(there: Cluster, at: int) -> None:
    balanced = replace(
        there.services[0], type="LoadBalancer", external_traffic_policy="Local", source_ranges=()
    )
    there = replace(there, services=(balanced,))
    node = there.nodes[at]
    health = predict(there, flow(OUTSIDE, node, 32000)).http
    assert health is not None
    if health.status == 200:
        answer = predict(there, flow(OUTSIDE, node))
        assert len(answer.backends) == health.local_endpoints
