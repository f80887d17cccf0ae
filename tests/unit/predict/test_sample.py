"""A few nodes speak for many: what they say is what all say, and it takes no more walks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from secondhop.model.cluster import Cluster
from secondhop.model.difference import Change, fate_of
from secondhop.model.flow import Flow
from secondhop.predict.matrix import cells
from secondhop.predict.path import Paths
from secondhop.predict.trail import Trail
from secondhop.predict.whatif import Situation, changes

from .build import NODES, XJP1, cluster, endpoint, node
from .strategies import clusters
from .test_whatif import UPDATES, told, update


def crowded(there: Cluster, size: int) -> Cluster:
    """With as many nodes more, of three sorts."""
    crowd = (
        node(f"n{k}", k, f"192.168.22.{k}/24", zone=("zone-a", "zone-b", None)[k % 3])
        for k in range(20, 20 + size)
    )
    return replace(there, nodes=there.nodes + tuple(crowd))


@settings(deadline=None)
@given(clusters(), UPDATES)
def test_what_two_nodes_say_all_of_them_say(there: Cluster, fields: dict[str, Any]) -> None:
    """Every flow of the two full tables that differs, and no other, is a change with its nodes
    replaced by the ones that stand for them."""
    before, after = update(crowded(there, 15), fields)
    old, new = (
        {(c.flow.source, c.flow.destination, c.flow.via): c.outcome for c in cells(one.cluster)}
        for one in (before, after)
    )
    found = list(changes(before, after))
    entered: dict[object, Change] = {
        (change.destination.kind, change.destination.port, entry): change
        for change in found
        if change.from_outside
        for entry in change.entries
    }
    expected = {
        (to.kind, to.port, to.node or via): key
        for key in [*old, *new]
        if told(old.get(key)) != told(new.get(key))
        for source, to, via in [key]
        if source.kind == "client" and to.kind not in ("clusterIP", "healthCheckNodePort")
    }
    assert entered.keys() == expected.keys()
    for door, key in expected.items():
        assert fate_of(entered[door].before) == fate_of(old.get(key))
        assert fate_of(entered[door].after) == fate_of(new.get(key))
    for change in found:
        for source in change.sources:
            for via in change.vias:
                key = source, change.destination, via
                assert told(old.get(key)) != told(new.get(key))


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_walks_do_not_grow_with_nodes(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[Flow] = []
    walk = Paths.walk

    def counted(self: Paths, flow: Flow) -> Trail:
        walked.append(flow)
        return walk(self, flow)

    monkeypatch.setattr(Paths, "walk", counted)
    counts = []
    for size in (30, 120):
        there = crowded(cluster(endpoint(XJP1), external_traffic_policy=policy), size)
        before = Situation(there, there.services[0])
        web = replace(there.services[0], external_traffic_policy="Local")
        assert list(changes(before, Situation(replace(there, services=(web,)), web))) or policy
        counts.append(len(walked))
        walked.clear()
    assert counts[0] == counts[1]
    assert len(NODES) < counts[0]
