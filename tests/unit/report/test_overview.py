"""The overview of groups of nodes reads as that of each node would."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import assume, given, settings
from support import deployment, service, world

from secondhop.model.cluster import Cluster, Ingress
from secondhop.model.flow import Flow
from secondhop.predict.matrix import Matrix
from secondhop.predict.overview import overview
from secondhop.predict.path import Paths
from secondhop.predict.trail import Trail
from secondhop.report import explain

from ..predict.build import GZ1, LB_IP, XJP1, cluster, endpoint, node
from ..predict.placements import Machine
from ..predict.strategies import clusters


def crowded(there: Cluster, size: int) -> Cluster:
    """With as many nodes more, which hold no endpoint."""
    crowd = (
        node(f"n{k}", k, f"192.168.22.{k}/24", zone=("zone-a", "zone-b", None)[k % 3])
        for k in range(20, 20 + size)
    )
    return replace(there, nodes=there.nodes + tuple(crowd))


@given(clusters())
@settings(max_examples=300, deadline=None)
def test_groups_read_as_their_nodes(there: Cluster) -> None:
    """Of an address that is a node's own, each row names the node that it is not brought to."""
    own = {i.ip for node in there.nodes for i in node.addresses}
    (web,) = there.services
    assume(not own & {*web.external_ips, *(ingress.ip for ingress in web.ingress)})
    reads_alike(crowded(there, 8))


def test_nodes_that_may_yet_get_pods_are_others() -> None:
    """The Deployment can only land on the four nodes that have the disk."""
    nodes = [Machine(f"n{k}", disk=k % 2 == 0).manifest(k) for k in range(9)]
    pods = deployment(replicas=2)
    pods["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    balanced = service(type="LoadBalancer", externalTrafficPolicy="Local")
    reads_alike(world(*nodes, pods, balanced).cluster)


def reads_alike(many: Cluster) -> None:
    services = many.services
    rows = Matrix(Paths(many), inside=False).rows(services)
    single = explain.overview(many, services, filter(explain.from_outside, rows))
    grouped = explain.overview(many, services, overview(many, services))
    assert list(grouped) == list(single)


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_walks_do_not_grow_with_nodes(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[Flow] = []
    walk = Paths.walk

    def counted(self: Paths, flow: Flow) -> Trail:
        walked.append(flow)
        return walk(self, flow)

    monkeypatch.setattr(Paths, "walk", counted)
    pods = [endpoint(GZ1), endpoint(XJP1)]
    counts = []
    for size in (30, 120):
        there = crowded(
            cluster(
                *pods,
                type="LoadBalancer",
                external_traffic_policy=policy,
                health_check_node_port=32000,
                ingress=(Ingress(ip_address(LB_IP)), Ingress(ip_address("203.0.113.11"), "Proxy")),
            ),
            size,
        )
        assert sum(len(row.entries) for row in overview(there, there.services)) > 3 * size
        counts.append(len(walked))
        walked.clear()
    assert counts[0] == counts[1] <= 40
