"""Reasons and steps: what the reader is told, by the letter where it is a promise."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from secondhop.model.cluster import Cluster, Endpoint, Ingress, ProxyMode, ServicePortName
from secondhop.model.fate import Step
from secondhop.model.flow import Flow
from secondhop.predict import predict
from secondhop.predict.chains import service_chain

from .build import (
    CLUSTER_IP,
    GZ1,
    LB_IP,
    NODE_PORT,
    SHA1,
    XJP1,
    client,
    cluster,
    endpoint,
    flow,
    host,
    host_endpoint,
    leaving,
    pod,
    unready,
)

AWAY = endpoint(XJP1)
OUTSIDE = client()
LOCAL: dict[str, Any] = {"external_traffic_policy": "Local"}
BALANCED: dict[str, Any] = {"type": "LoadBalancer", "ingress": (Ingress(ip_address(LB_IP)),)}
SECOND_HOP = "gz1 has no ready pod; it passes the connection on to xjp1 (second hop)"


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(
    ("policy", "to", "fate", "sees", "hops", "reason"),
    [
        (
            "Cluster", XJP1, "delivered", "10.42.1.1", 1,
            "xjp1 hands it to its own pod web-xjp1-2"
            " and replaces the source by 10.42.1.1, the address of cni0",
        ),
        (
            "Cluster", GZ1, "delivered", "10.42.0.0", 2,
            f"{SECOND_HOP} and replaces the source by 10.42.0.0, the address of flannel.1",
        ),
        (
            "Local", XJP1, "delivered", "192.168.22.2", 1,
            "xjp1 hands it to its own pod web-xjp1-2; the pod sees the sender's own address",
        ),
        (
            "Local", GZ1, "dropped", None, None,
            "dropped on gz1: externalTrafficPolicy=Local and none of gz1's pods is ready"
            " (1 ready elsewhere)",
        ),
    ],
)  # fmt: skip
def test_the_reference_experiment(
    mode: ProxyMode, policy: str, to: Any, fate: str, sees: str | None, hops: int, reason: str
) -> None:
    there = cluster(AWAY, mode=mode, external_traffic_policy=policy)
    answer = predict(there, flow(OUTSIDE, to))
    assert (answer.fate, answer.reason) == (fate, reason)
    seen = [(str(b.source_ip), b.hops, b.share, b.address) for b in answer.backends]
    assert seen == ([(sees, hops, 1.0, "10.42.1.2:80")] if sees else [])
    assert answer.client_ip == {None: None, "192.168.22.2": "kept"}.get(sees, "replaced")


def policy(value: str) -> str:
    return f"Service default/web spec.externalTrafficPolicy={value}"


def test_the_steps_of_a_second_hop() -> None:
    taken = f"takes 192.168.8.1:{NODE_PORT} for the node port of Service default/web"
    port = f"Service default/web spec.ports[0].nodePort={NODE_PORT}"
    replaced = "replaces the source 192.168.22.2 by 10.42.0.0, the address of flannel.1"
    why = policy("Cluster masquerades every connection")
    reached = "web-xjp1-2: reached by flannel.1 of gz1, sees 10.42.0.0"
    chosen = "chooses the only endpoint, 10.42.1.2:80"
    name = ServicePortName("default", "web", "http", "TCP")
    service = service_chain("iptables", "service", name)
    assert predict(cluster(AWAY), flow(OUTSIDE, GZ1)).steps == (
        Step("gz1", taken, port, "KUBE-NODEPORTS"),
        Step("gz1", chosen, policy("Cluster"), service),
        Step("gz1", replaced, why, "KUBE-POSTROUTING"),
        Step("xjp1", reached, "Node xjp1 spec.podCIDRs"),
    )


def test_the_steps_of_a_drop_count_the_ready_endpoints() -> None:
    there = cluster(AWAY, endpoint(SHA1), endpoint(SHA1, 3), mode="nftables", **LOCAL)
    last = predict(there, flow(OUTSIDE, GZ1)).steps[-1]
    assert last.rule == policy("Local; gz1 has 0 of 3 ready endpoints")
    assert last.chain == "nodeport-endpoints-check"


def test_the_senders_egress_is_a_step_of_its_own() -> None:
    steps = predict(cluster(AWAY), flow(pod(SHA1), GZ1)).steps
    assert [s.node for s in steps] == ["sha1", "gz1", "gz1", "gz1", "xjp1"]
    assert steps[0].chain == "FLANNEL-POSTRTG"
    assert steps[0].what.endswith("and replaces the source 10.42.2.250 by 192.168.9.1")


def test_the_router_is_a_step() -> None:
    steps = predict(cluster(AWAY, **BALANCED), flow(OUTSIDE, LB_IP, via=GZ1)).steps
    assert steps[0].node == "the router"
    assert steps[1].rule == "Service default/web status.loadBalancer.ingress"


RANGES = (ip_network("198.51.100.0/24"), ip_network("203.0.113.0/24"))
SPREAD = (endpoint(GZ1), AWAY)
ZONED = tuple(
    endpoint(node, zone_hints=frozenset({zone}))
    for node, zone in ((GZ1, "zone-b"), (XJP1, "zone-a"))
)
UNMASKED = cluster(AWAY, masquerade=False, **LOCAL)


@pytest.mark.parametrize(
    ("there", "sent", "reason"),
    [
        (
            cluster(*SPREAD), flow(OUTSIDE, GZ1),
            "gz1 picks one of 2 pods, 1 here and 1 on xjp1 (second hop);"
            " the pod sees 10.42.0.1 (cni0) or 10.42.0.0 (flannel.1)",
        ),
        (
            cluster(host_endpoint(GZ1), AWAY), flow(OUTSIDE, GZ1),
            "gz1 picks one of 2 pods, 1 here and 1 on xjp1 (second hop);"
            " the pod sees 10.42.0.0 (flannel.1) or 192.168.22.2 where it stays as it is",
        ),
        (
            cluster(AWAY, endpoint(XJP1, 3), **LOCAL), flow(pod(GZ1), XJP1),
            "xjp1 hands it to one of its own 2 pods;"
            " the pod sees 192.168.8.1, put on the packet as it left gz1",
        ),
        (
            cluster(leaving(XJP1)), flow(OUTSIDE, GZ1),
            "no pod is ready anywhere, so terminating ones still serve: "
            f"{SECOND_HOP} and replaces the source by 10.42.0.0, the address of flannel.1",
        ),
        (
            cluster(leaving(GZ1), AWAY, **LOCAL), flow(OUTSIDE, GZ1),
            "no pod is ready on gz1, so terminating ones still serve: "
            "gz1 hands it to its own pod web-gz1-2; the pod sees the sender's own address",
        ),
        (
            cluster(*ZONED), flow(OUTSIDE, GZ1),
            "gz1 passes over its own pods (topology hints);"
            " it passes the connection on to xjp1 (second hop)"
            " and replaces the source by 10.42.0.0, the address of flannel.1",
        ),
        (
            cluster(leaving(XJP1), **LOCAL), flow(OUTSIDE, GZ1),
            "dropped on gz1: externalTrafficPolicy=Local and none of gz1's pods is ready"
            " (only terminating ones elsewhere)",
        ),
        (
            cluster(AWAY, internal_traffic_policy="Local"), flow(pod(GZ1), CLUSTER_IP),
            "dropped on gz1: internalTrafficPolicy=Local and none of gz1's pods is ready"
            " (1 ready elsewhere)",
        ),
        (
            cluster(), flow(OUTSIDE, GZ1),
            "rejected on gz1: Service default/web has no usable endpoint anywhere (none listed)",
        ),
        (
            cluster(unready(XJP1), unready(SHA1)), flow(OUTSIDE, GZ1),
            "rejected on gz1: Service default/web has no usable endpoint anywhere"
            " (2 listed, none ready)",
        ),
        (
            cluster(AWAY, **BALANCED, source_ranges=RANGES), flow(OUTSIDE, LB_IP, via=GZ1),
            "dropped on gz1: the source is outside"
            " spec.loadBalancerSourceRanges=198.51.100.0/24, 203.0.113.0/24",
        ),
        (
            cluster(AWAY), flow(OUTSIDE, GZ1, 31234),
            "closed by gz1: no Service has node port 31234/TCP",
        ),
        (
            cluster(AWAY, mode="nftables"), flow(OUTSIDE, "192.168.8.101", NODE_PORT),
            "closed by gz1: gz1 does not answer node ports on 192.168.8.101",
        ),
        (
            cluster(AWAY), flow(OUTSIDE, CLUSTER_IP),
            f"unroutable at the router: it knows no way to {CLUSTER_IP},"
            " which exists only inside the cluster",
        ),
        (
            cluster(AWAY, mode="nftables"), flow(pod(GZ1), CLUSTER_IP, 81),
            "rejected on gz1: Service default/web has no port 81/TCP",
        ),
        (
            cluster(AWAY, **BALANCED), flow(OUTSIDE, LB_IP, 81, via=GZ1),
            f"circles between the router and gz1: no Service has {LB_IP}:81/TCP",
        ),
        (
            cluster(AWAY, **BALANCED), flow(host(GZ1), LB_IP, 81, via=GZ1),
            f"dropped on gz1: no Service has {LB_IP}:81/TCP; the router sends the packet back to"
            " gz1, which takes nothing that bears its own address as source",
        ),
        (
            UNMASKED, flow(pod(GZ1), SHA1),
            "dropped on sha1: 1 of 1 pods answer the sender directly, past sha1, which alone"
            " could translate the answer back",
        ),
        (
            cluster(endpoint(GZ1), **BALANCED, **LOCAL, health_check_node_port=32000),
            flow(OUTSIDE, GZ1, 32000),
            "the health check of gz1 answers 200, localEndpoints: 1",
        ),
    ],
)  # fmt: skip
def test_reasons(there: Cluster, sent: Flow, reason: str) -> None:
    answer = predict(there, sent)
    assert answer.reason == reason
    assert answer.steps


def test_many_nodes_are_counted_not_listed() -> None:
    others = tuple(
        Endpoint(ip_address(f"198.51.100.{n}"), 80, f"web-{n}", f"n{n}") for n in range(5)
    )
    nodes = tuple(type(GZ1)(f"n{n}", (), ()) for n in range(5))
    there = cluster(*others, nodes=(GZ1, *nodes))
    assert "passes the connection on to 5 other nodes" in predict(there, flow(OUTSIDE, GZ1)).reason
