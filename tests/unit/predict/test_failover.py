"""A lost node and a rollout: the rows of semantics §14, and brute force over small clusters."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import deployment, lab, pod, service, world

from secondhop.model.cluster import Cluster, Endpoint, Ingress
from secondhop.model.failover import Failover, NodeLoss, Rolling
from secondhop.model.version import KubeVersion
from secondhop.predict import predict
from secondhop.predict.balancers import BALANCERS
from secondhop.predict.failover import failover
from secondhop.predict.path import Paths
from secondhop.predict.share import shares

from .build import GZ1, LB_IP, NODES, SHA1, XJP1, client, cluster, endpoint, flow, leaving
from .strategies import endpoints

GRACE = 50.0
ONE_EACH = [endpoint(GZ1), endpoint(XJP1), endpoint(SHA1)]
ALL_ON_ONE = [endpoint(XJP1, 2), endpoint(XJP1, 3)]
TWO_OF_THREE = [endpoint(GZ1), endpoint(XJP1)]
LOCAL: dict[str, Any] = {"external_traffic_policy": "Local"}
LB: dict[str, Any] = {"type": "LoadBalancer", "health_check_node_port": 32000}
MACHINES = [
    {"name": f"n{k}", "address": f"10.1.0.{k}", "podCIDR": f"10.42.{k}.0/24"} for k in range(1, 4)
]


def answer(there: Cluster, balancer: str, grace: float = GRACE) -> Failover:
    return failover(Paths(there), there.services[0], balancer, grace)


def phases(loss: NodeLoss) -> list[tuple[float | None, int]]:
    """With the loss in percent."""
    return [(phase.until, round(100 * phase.lost)) for phase in loss.phases]


@pytest.mark.parametrize(
    ("balancer", "policy", "made", "nodes", "expected"),
    [
        # The live nodes go on choosing the dead pod until the control plane notices.
        ("healthy-nodes", "Cluster", ONE_EACH, 3, [(3, 56), (50, 33), (None, 0)]),
        ("every-node", "Cluster", ONE_EACH, 3, [(50, 56), (None, 33)]),
        # BGP's hold time is longer than that.
        ("metallb-bgp", "Cluster", ONE_EACH, 3, [(50, 56), (90, 33), (None, 0)]),
        ("k3s-servicelb", "Cluster", ONE_EACH, 3, [(50, 56), (None, 0)]),
        # Only the dead node itself led to its pods.
        ("healthy-nodes", "Local", ONE_EACH, 3, [(3, 33), (None, 0)]),
        ("every-node", "Local", ONE_EACH, 3, [(None, 33)]),
        # A live node without a ready pod drops what an unaware balancer sends it.
        ("every-node", "Local", TWO_OF_THREE, 2, [(None, 67)]),
        ("healthy-nodes", "Local", TWO_OF_THREE, 2, [(3, 50), (None, 0)]),
        ("every-node", "Cluster", ALL_ON_ONE, 1, [(None, 100)]),
        ("healthy-nodes", "Local", ALL_ON_ONE, 1, [(None, 100)]),
        # Whoever may have the address, had it.
        ("metallb-l2", "Cluster", ONE_EACH, 3, [(3, 100), (50, 33), (None, 0)]),
        ("metallb-l2", "Local", ONE_EACH, 3, [(3, 100), (None, 0)]),
        ("single-node", "Cluster", ONE_EACH, 3, [(None, 100)]),
        ("weighted", "Local", [*ONE_EACH, endpoint(XJP1, 3)], 1, [(3, 50), (None, 0)]),
    ],
)
def test_what_the_worst_node_takes_with_it(
    balancer: str, policy: str, made: list[Endpoint], nodes: int, expected: list[Any]
) -> None:
    there = cluster(*made, **LB, external_traffic_policy=policy)
    worst = answer(there, balancer).losses[0]
    assert phases(worst) == expected
    assert len(worst.nodes) == nodes
    assert worst.certainty == "certain"


def test_nodes_without_pods_are_a_class_of_their_own() -> None:
    worst, other = answer(cluster(*ALL_ON_ONE, **LB), "healthy-nodes").losses
    assert (worst.nodes, worst.pods, worst.left, worst.serving) == (("xjp1",), 2, 0, 0)
    assert (set(other.nodes), other.pods, other.left) == ({"gz1", "sha1"}, 0, 2)
    assert phases(other) == [(3, 33), (None, 0)]
    assert (other.serving, other.dark, other.movable) == (2, 0, None)


def test_under_local_dark_nodes_stay_dark() -> None:
    there = cluster(*TWO_OF_THREE, **LB, **LOCAL)
    worst = answer(there, "every-node").losses[0]
    assert (worst.serving, worst.dark) == (1, 1)
    assert worst.before == pytest.approx(1 / 3)
    worst = answer(there, "healthy-nodes").losses[0]
    assert (worst.serving, worst.dark, worst.before) == (1, 0, 0)


def test_pods_that_end_take_over() -> None:
    there = cluster(endpoint(XJP1), leaving(GZ1), **LB)
    worst = answer(there, "healthy-nodes").losses[0]
    assert (worst.nodes, worst.left, phases(worst)[-1]) == (("xjp1",), 1, (None, 0))


def test_endpoints_outside_the_cluster_are_not_lost() -> None:
    outside = Endpoint(ip_address("198.51.100.7"), 80)
    worst = answer(cluster(endpoint(XJP1), outside, **LB), "healthy-nodes").losses[0]
    assert (worst.nodes, worst.left) == (("xjp1",), 1)
    assert phases(worst)[-1] == (None, 0)


def test_a_service_that_the_balancer_does_not_serve_has_every_node() -> None:
    assert answer(cluster(*ONE_EACH), "metallb-bgp").balancer == "every-node"


def lost_by_force(
    there: Cluster, name: str, balancer: str, *, left_out: bool, unready: bool
) -> float:
    """From the shares of a cluster without the node, and from single flows in one without its
    pods."""
    alive = {
        port: tuple(e for e in endpoints if e.node != name)
        for port, endpoints in there.endpoints.items()
    }
    noticed = replace(there, endpoints=alive) if unready else there
    living = {str(e) for endpoints in alive.values() for e in endpoints}
    nodes = tuple(n for n in there.nodes if n.name != name or not left_out)
    sending = replace(there, nodes=nodes)
    found = []
    for share in shares(sending, there.services[0], BALANCERS[balancer]):
        reached = 0.0
        for node in there.nodes:
            if node.name != name and node.name in share.entries:
                told = predict(noticed, flow(client(), node))
                alive_part = sum(b.share for b in told.backends if b.address in living)
                reached += share.entries[node.name] * alive_part
        found.append(1 - reached)
    return max(found, default=1.0)


def lost_at(loss: NodeLoss, seconds: float) -> float:
    return next(p.lost for p in loss.phases if p.until is None or seconds < p.until)


@given(
    st.data(),
    st.sampled_from(sorted(BALANCERS)),
    st.sampled_from(["Cluster", "Local"]),
    st.booleans(),
)
def test_every_phase_is_what_brute_force_finds(
    data: st.DataObject, balancer: str, policy: str, hints: bool
) -> None:
    made = data.draw(endpoints(NODES, hints, most=5))
    ingress = (Ingress(ip_address(LB_IP)),)
    there = cluster(*made, **LB, ingress=ingress, external_traffic_policy=policy)
    found = answer(there, balancer)
    matter = {name: loss for loss in found.losses for name in loss.nodes}
    for node in there.nodes if found.losses else ():
        times = sorted({0.0, GRACE, found.detection or 0.0})
        for seconds in times:
            expected = lost_by_force(
                there,
                node.name,
                balancer,
                left_out=found.detection is not None and seconds >= found.detection,
                unready=seconds >= GRACE,
            )
            if node.name in matter:
                assert lost_at(matter[node.name], seconds) == pytest.approx(expected, abs=1e-6)
            else:  # it has neither pods nor traffic
                assert expected == pytest.approx(found.losses[0].before, abs=1e-6)


def over(*objects: dict[str, Any], balancer: str = "healthy-nodes", **spec: Any) -> Failover:
    given = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", **spec}
    return answer(world(lab(MACHINES), service(**given), *objects).cluster, balancer)


def web(replicas: int, kind: str = "Deployment", **pod: Any) -> dict[str, Any]:
    """Of three machines; keyword arguments go to the pods' spec."""
    made = deployment(replicas=replicas)
    made["kind"] = kind
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    made["spec"]["template"]["spec"] |= pod
    return made


def spread() -> dict[str, Any]:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return {"topologySpreadConstraints": [constraint]}


@pytest.mark.parametrize(
    ("made", "policy", "balancer", "expected"),
    [
        (web(3), "Cluster", "healthy-nodes", [(None, 100)]),
        (web(3, **spread()), "Cluster", "healthy-nodes", [(3, 56), (50, 33), (None, 0)]),
        (web(3, **spread()), "Local", "healthy-nodes", [(3, 33), (None, 0)]),
        (web(3, **spread()), "Local", "weighted", [(3, 33), (None, 0)]),
        (web(2, **spread()), "Local", "every-node", [(None, 67)]),
        (web(3, **spread()), "Local", "metallb-l2", [(3, 100), (None, 0)]),
        (web(3, **spread()), "Cluster", "metallb-l2", [(3, 100), (50, 33), (None, 0)]),
        (web(1), "Local", "healthy-nodes", [(None, 100)]),
    ],
)
def test_the_worst_placement(
    made: dict[str, Any], policy: str, balancer: str, expected: list[Any]
) -> None:
    (loss,) = over(made, balancer=balancer, externalTrafficPolicy=policy).losses
    assert phases(loss) == expected
    assert loss.certainty == ("certain" if loss.nodes else "possible")


@pytest.mark.parametrize("constraint", [{}, spread()])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("balancer", sorted(BALANCERS))
def test_the_worst_placement_is_the_worst_of_all(
    balancer: str, policy: str, constraint: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": policy}
    for replicas in 1, 2, 3:
        made = web(replicas, **constraint)
        (worst,) = over(made, balancer=balancer, **given).losses
        reached: list[NodeLoss] = []
        for homes in combinations_with_replacement(["n1", "n2", "n3"], replicas):
            if constraint and len(set(homes)) < replicas:
                continue
            there = world(lab(MACHINES, placement={"web": list(homes)}), service(**given), made)
            reached += answer(there.cluster, balancer).losses
        for seconds in (0, 3, 24, 30, 50, 90):
            most = max(lost_at(loss, seconds) for loss in reached)
            assert lost_at(worst, seconds) == pytest.approx(most, abs=1e-6)
        assert worst.before == pytest.approx(max(loss.before for loss in reached), abs=1e-6)


def test_a_daemon_set_leaves_no_doubt() -> None:
    (loss,) = over(web(1, "DaemonSet")).losses
    assert (loss.nodes, loss.certainty) == (("n1", "n2", "n3"), "certain")
    assert phases(loss) == [(3, 33), (None, 0)]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (web(2), True),
        (web(2, nodeSelector={"kubernetes.io/hostname": "n1"}), False),
        (web(1, "DaemonSet"), False),
        (web(2, "StatefulSet"), True),
        (web(3, hostNetwork=True, containers=[{"name": "a", "ports": [{"containerPort": 80}]}]),
         False),
        (pod("web-1", "n1"), None),
    ],
)  # fmt: skip
def test_whether_pods_may_run_elsewhere(made: dict[str, Any], expected: bool | None) -> None:
    assert over(made).losses[0].movable is expected


def rolled(made: dict[str, Any], balancer: str = "healthy-nodes", **spec: Any) -> Rolling:
    (found,) = over(made, balancer=balancer, **spec).rollouts
    return found


def stepping(made: dict[str, Any], surge: int | str, unavailable: int | str) -> dict[str, Any]:
    field = "updateStrategy" if made["kind"] == "DaemonSet" else "strategy"
    steps = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {**made, "spec": made["spec"] | {field: {"rollingUpdate": steps}}}


@pytest.mark.parametrize(
    ("made", "counts", "dark"),
    [
        (web(4), (4, 3, 5), "possible"),
        (stepping(web(4), 1, 0), (4, 4, 5), "possible"),
        (stepping(web(4), 0, "50%"), (4, 2, 4), "possible"),
        (stepping(web(2), 0, 2), (2, 0, 2), "certain"),
        (web(1, "DaemonSet"), (3, 2, 3), "certain"),
        (stepping(web(1, "DaemonSet"), 1, 0), (3, 3, 4), "impossible"),
        (web(3, "StatefulSet"), (3, 2, 3), "possible"),
    ],
)
def test_the_worst_moment_of_a_rollout(
    made: dict[str, Any], counts: tuple[int, int, int], dark: str
) -> None:
    found = rolled(made)
    assert (found.wanted, found.least, found.most) == counts
    assert (found.dark, rolled(made, externalTrafficPolicy="Cluster").dark) == (dark, "impossible")
    assert not found.probed


def sleeping(seconds: int, grace: int = 60) -> dict[str, Any]:
    hook = {"preStop": {"sleep": {"seconds": seconds}}}
    return {
        "containers": [{"name": "whoami", "lifecycle": hook}],
        "terminationGracePeriodSeconds": grace,
    }


@pytest.mark.parametrize(
    ("made", "balancer", "served", "needed", "short"),
    [
        # §14: pods that exit on SIGTERM lose some, pods that serve 5 s more lose none.
        (web(3), "healthy-nodes", 0, 5, True),
        (web(3, **sleeping(5)), "healthy-nodes", 5, 5, False),
        (web(3, **sleeping(5)), "cloud-passthrough", 5, 24, True),
        (web(3, **sleeping(30, grace=20)), "cloud-passthrough", 20, 24, True),
        (web(3, **sleeping(5)), "metallb-bgp", 5, 5, False),
        (web(3, **sleeping(30)), "every-node", 30, None, True),
    ],
)
def test_pods_that_end_serve_until_nobody_sends(
    made: dict[str, Any], balancer: str, served: float, needed: float | None, short: bool
) -> None:
    found = rolled(made, balancer)
    assert (found.served, found.needed, found.falls_short) == (served, needed, short)
    assert rolled(made, balancer, externalTrafficPolicy="Cluster").needed == 5


def test_a_hook_that_does_something_else_is_not_judged() -> None:
    container = {"name": "a", "lifecycle": {"preStop": {"exec": {"command": ["drain"]}}}}
    found = rolled(web(3, containers=[container]))
    assert (found.served, found.falls_short) == (None, False)


def test_containers_that_serve_may_have_a_readiness_probe() -> None:
    probed = {"name": "a", "readinessProbe": {"exec": {"command": ["true"]}}}
    assert rolled(web(3, containers=[probed])).probed
    serving = {**probed, "ports": [{"containerPort": 80}]}
    assert rolled(web(3, containers=[serving, {"name": "sidecar"}])).probed
    assert not rolled(web(3, containers=[probed, {"name": "other"}])).probed


def test_old_releases_do_not_send_to_pods_that_end() -> None:
    there = world(lab(MACHINES), service(externalTrafficPolicy="Local"), web(3)).cluster
    (found,) = answer(there, "healthy-nodes").rollouts
    assert found.covered
    (found,) = answer(replace(there, kube_version=KubeVersion(1, 23)), "healthy-nodes").rollouts
    assert not found.covered


def test_pods_that_nobody_rolls_have_no_rollout() -> None:
    assert over(pod("web-1", "n1")).rollouts == ()
    assert over(web(3, "ReplicaSet")).rollouts == ()
