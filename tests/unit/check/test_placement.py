"""Findings and requirements over every placement, after a lost node, and in a rollout."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, lab, service

from secondhop.model.version import KubeVersion

from .build import NODES, PLACES, checked, holds, ids

LOCAL: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
HOST = "kubernetes.io/hostname"


def web(replicas: int, **spec: Any) -> dict[str, Any]:
    """A Deployment, or a DaemonSet for 0; keyword arguments go to the pods' spec."""
    made = deployment(replicas=replicas)
    if not replicas:
        made["kind"] = "DaemonSet"
        del made["spec"]["replicas"]
    made["spec"]["template"]["spec"] |= spec
    return made


def spread(skew: int = 1) -> dict[str, Any]:
    constraint = {
        "maxSkew": skew,
        "topologyKey": HOST,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return {"topologySpreadConstraints": [constraint]}


def sleeping(seconds: int, grace: int = 60) -> dict[str, Any]:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", f"sleep {seconds}"]}}}
    container = {"name": "whoami", "image": "traefik/whoami", "lifecycle": hook}
    return {"containers": [container], "terminationGracePeriodSeconds": grace}


@pytest.mark.parametrize(
    ("made", "nodes", "drops", "required"),
    [
        (web(3), True, "possible", "possible"),
        (web(2), True, "certain", "no"),
        (web(3, **spread()), True, None, "certain"),
        (web(3, **spread(2)), True, "possible", "possible"),
        (web(0), True, None, "certain"),
        (web(3), False, "possible", "possible"),
        (web(3, **spread()), False, "possible", "possible"),
        (web(0), False, None, "certain"),
        (web(0, nodeSelector={"disk": "ssd"}), False, "possible", "possible"),
    ],
)
def test_local_drops_over_all_placements(
    made: dict[str, Any], nodes: bool, drops: str | None, required: str
) -> None:
    given = [service(**LOCAL), made, *([lab(NODES)] if nodes else [])]
    found = checked(*given, require="no-blackhole")
    told = [finding for finding in found.findings if finding.id == "local-drops"]
    assert [finding.certainty for finding in told] == ([drops] if drops else [])
    assert holds(found)["no-blackhole"] == required
    assert all("DaemonSet" in f.remedy or "nodeSelector" in f.remedy for f in told)
    aware = checked(*given, require="no-blackhole", balancer="healthy-nodes")
    assert "local-drops" not in ids(aware)
    assert holds(aware)["no-blackhole"] == "certain"


@pytest.mark.parametrize(
    ("made", "policy", "balancer", "limit", "expected"),
    [
        (web(4), "Cluster", "every-node", 0.25, "certain"),
        (web(4), "Cluster", "every-node", 0.2, "no"),
        (web(4), "Local", "healthy-nodes", 0.4, "possible"),
        (web(4), "Local", "healthy-nodes", 0.5, "certain"),
        (web(4), "Local", "weighted", 0.25, "certain"),
        (web(4), "Local", "every-node", 0.34, "certain"),
        (web(3, **spread()), "Local", "healthy-nodes", 0.34, "certain"),
        (web(2), "Local", "single-node", 0.9, "possible"),
        (web(2), "Local", "healthy-nodes", 0.4, "no"),
        (web(3, nodeSelector={"disk": "ssd"}), "Local", "every-node", 0.5, "no"),
    ],
)
def test_the_largest_share_over_all_placements(
    made: dict[str, Any], policy: str, balancer: str, limit: float, expected: str
) -> None:
    given = service(**{**LOCAL, "externalTrafficPolicy": policy})
    found = checked(given, made, lab(NODES), require=f"max-share={limit}", balancer=balancer)
    assert holds(found)["max-share"] == expected


def test_without_the_header_there_are_no_weights() -> None:
    """Four pods may be one and three, and nodes that weigh the same get half each."""
    asked: dict[str, Any] = {"require": "max-share=0.25", "balancer": "weighted"}
    node_port = service(externalTrafficPolicy="Local")
    found = checked(node_port, web(4), lab(NODES[:2]), **asked)
    assert holds(found)["max-share"] == "possible"
    before = KubeVersion(1, 27)
    old = checked(service(**LOCAL), web(4), lab(NODES[:2]), kube_version=before, **asked)
    assert holds(old)["max-share"] == "possible"


def test_hints_say_nothing_under_local() -> None:
    """Semantics §13.7."""
    given = service(**LOCAL, trafficDistribution="PreferSameZone")
    found = checked(given, web(4), lab(NODES), require="max-share=0.34")
    assert holds(found)["max-share"] == "certain"


def nodes(*excluded: bool) -> list[dict[str, Any]]:
    """Node objects, of which some never get what a load balancer sends."""
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": one["name"],
                "labels": {HOST: one["name"]} | ({label: ""} if left_out else {}),
            },
            "spec": {"podCIDR": one["podCIDR"]},
            "status": {"addresses": [{"type": "InternalIP", "address": one["address"]}]},
        }
        for one, left_out in zip(NODES, excluded, strict=False)
    ]


@pytest.mark.parametrize(
    ("made", "excluded", "balancer", "expected"),
    [
        (web(2), (True, False, False), "cloud-passthrough", "possible possible possible"),
        (web(2, **spread()), (True, False), "metallb-bgp", "certain certain possible"),
        (web(0), (True, False, False), "cloud-passthrough", "certain certain possible"),
        (web(2, nodeSelector={HOST: "n2"}), (True, False), "metallb-l2", "certain certain certain"),
        (web(2, nodeSelector={HOST: "n1"}), (True, False), "metallb-l2", "no no no"),
        (web(2), (True, False, False), "healthy-nodes", "certain certain certain"),
    ],
)
def test_pods_on_nodes_that_the_balancer_leaves_out_get_nothing(
    made: dict[str, Any], excluded: tuple[bool, ...], balancer: str, expected: str
) -> None:
    asked = "client-ip,no-blackhole,max-share=0.5"
    found = checked(service(**LOCAL), made, *nodes(*excluded), require=asked, balancer=balancer)
    assert " ".join(holds(found).values()) == expected


@pytest.mark.parametrize(
    ("count", "spec", "expected"),
    [(1, {}, "possible"), (2, {}, "no"), (2, {"trafficDistribution": "PreferClose"}, "possible")],
)
def test_a_pod_of_the_entry_node_s_own_network_sees_the_client(
    count: int, spec: dict[str, Any], expected: str
) -> None:
    """Even under Cluster: so it hangs on where the pods are (semantics §4.1)."""
    made = web(1, hostNetwork=True)
    found = checked(service(**spec), made, *nodes(*[False] * count), require="client-ip")
    assert holds(found)["client-ip"] == expected


@pytest.mark.parametrize(
    ("made", "sections", "certainty"),
    [
        (web(3), {}, "possible"),
        (web(3, **spread()), {}, None),
        (web(3, nodeSelector={HOST: "n1"}), {}, "certain"),
        (web(3), {"placement": PLACES}, None),
        (web(2), {"placement": {"web": "n2"}}, "certain"),
        (web(1), {}, None),
        (web(0), {}, None),
    ],
)
def test_one_node_with_all_pods(
    made: dict[str, Any], sections: dict[str, Any], certainty: str | None
) -> None:
    found = checked(service(**LOCAL), made, lab(NODES, **sections))
    told = [finding.certainty for finding in found.findings if finding.id == "node-loss"]
    assert told == ([certainty] if certainty else [])


@pytest.mark.parametrize(
    ("made", "balancer", "gap"),
    [
        (web(3), "cloud-passthrough", True),
        (web(3), "every-node", False),
        (web(3), "metallb-bgp", False),
        (web(3, **sleeping(30)), "cloud-passthrough", False),
        (web(3, **sleeping(10)), "cloud-passthrough", True),
        (web(3, **sleeping(10)), "healthy-nodes", False),
        (web(3, **sleeping(30, grace=10)), "cloud-passthrough", True),
        (web(0, **sleeping(0)), "cloud-passthrough", True),
    ],
)
def test_pods_serve_until_the_balancer_has_left(
    made: dict[str, Any], balancer: str, gap: bool
) -> None:
    found = checked(service(**LOCAL), made, lab(NODES), balancer=balancer)
    assert ("rollout-gap" in ids(found)) == gap


def test_a_gap_does_not_hang_on_the_nodes() -> None:
    found = checked(service(**LOCAL), web(0), balancer="cloud-passthrough")
    assert "rollout-gap" in ids(found)


def test_the_finding_says_what_is_lost_and_whether_pods_may_move() -> None:
    found = checked(service(**LOCAL), web(3, nodeSelector={HOST: "n1"}), lab(NODES))
    (told,) = [finding.message for finding in found.findings if finding.id == "node-loss"]
    assert "so is every connection, through whichever node" in told
    assert told.endswith("others are ready, for which there is no other node.")


def test_a_daemon_set_that_surges_leaves_no_node_dark() -> None:
    surging = web(0, **sleeping(6))
    surging["spec"]["updateStrategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    found = checked(service(**LOCAL), surging, lab(NODES), balancer="cloud-passthrough")
    assert "rollout-gap" not in ids(found)
    surging["spec"]["template"]["spec"]["hostNetwork"] = True
    surging["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    found = checked(service(**LOCAL), surging, lab(NODES), balancer="cloud-passthrough")
    assert "rollout-gap" in ids(found)
