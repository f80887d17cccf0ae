"""Requirements: read, judged, and equal to asking every node."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import deployment, lab, service
from unit.predict.strategies import clusters

from secondhop.check import read_requirements
from secondhop.errors import UsageError
from secondhop.model.cluster import Cluster
from secondhop.model.fate import Fate
from secondhop.predict.balancers import BALANCERS
from secondhop.predict.matrix import cells
from secondhop.predict.share import shares

from .build import NODES, PLACES, checked, cluster_checked, holds

LAB = lab(NODES, placement=PLACES)
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}
ALL = "client-ip,no-blackhole,max-share=0.5,valid"


def test_they_are_read() -> None:
    asked = read_requirements(["client-ip, no-blackhole", "max-share=0.25", "client-ip"])
    assert [str(one) for one in asked] == ["client-ip", "no-blackhole", "max-share=0.25"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no requirement ''"),
        ("client_ip", "there is no requirement 'client_ip'"),
        ("client-ip=yes", "client-ip takes no value"),
        ("max-share", "'max-share' has no share"),
        ("max-share=", "'max-share=' has no share"),
        *(
            (f"max-share={value}", f"{value!r} is not a fraction above 0 and up to 1")
            for value in ("0", "-0.5", "1.5", "2", "50%", "nan", "half")
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match="--require") as caught:
        read_requirements([text])
    assert says in caught.value.message
    if "there is no" in says:
        for name in ("client-ip", "no-blackhole", "max-share=0.5", "valid"):
            assert name in caught.value.remedy


@pytest.mark.parametrize(
    ("spec", "replicas", "nodes", "expected"),
    [
        ({}, 3, True, "no certain certain"),
        (LOCAL, 3, True, "certain certain certain"),
        (LOCAL, 1, True, "certain no certain"),
        ({}, 1, True, "no certain no"),
        ({}, 3, False, "no certain certain"),
        (LOCAL, 3, False, "certain possible certain"),
        (LOCAL, 1, False, "certain possible possible"),
        ({"trafficDistribution": "PreferClose"}, 3, False, "no certain possible"),
        ({}, 0, True, "no no no"),
    ],
)
def test_they_are_judged(spec: dict[str, Any], replicas: int, nodes: bool, expected: str) -> None:
    objects = [service(**spec), deployment(replicas=replicas), *([LAB] if nodes else [])]
    found = checked(*objects, require=ALL)
    told = holds(found)
    assert " ".join(told[n] for n in ("client-ip", "no-blackhole", "max-share")) == expected
    assert told["valid"] == "certain"
    assert all(requirement.why.endswith(".") for requirement in found.requirements)
    assert found.met == (expected == "certain certain certain")


def test_nothing_to_judge_does_not_hold() -> None:
    inner = service(type="ClusterIP", ports=[{"port": 80}])
    found = checked(inner, deployment(), require="client-ip")
    assert [(r.subject, r.holds) for r in found.requirements] == [("input", "no")]


def test_a_service_hidden_from_kube_proxy_does_not_hold() -> None:
    hidden = service(**LOCAL)
    hidden["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "x"}
    found = checked(hidden, deployment(), LAB, require="client-ip,no-blackhole,max-share=1")
    assert set(holds(found).values()) == {"no"}


@pytest.mark.parametrize("name", ["client-ip", "no-blackhole", "max-share=1"])
def test_a_balancer_without_a_healthy_node_serves_nobody(name: str) -> None:
    stopped = service(type="LoadBalancer", **LOCAL)
    pods = deployment(replicas=3)
    pods["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    found = checked(stopped, pods, LAB, balancer="healthy-nodes", require=name)
    (told,) = found.requirements
    assert (told.holds, told.why) == ("no", "healthy-nodes finds no healthy node to send to.")


def test_each_service_is_judged() -> None:
    found = checked(
        service("a", **LOCAL), service("b", node_port=30081), deployment("a", 3), deployment("b"),
        LAB, require="client-ip",
    )  # fmt: skip
    assert [(r.subject, r.met) for r in found.requirements] == [
        ("Service default/a", True),
        ("Service default/b", False),
    ]


def outside(there: Cluster) -> list[Any]:
    """The outcomes of the client at every entry through every node."""
    kinds = ("nodePort", "loadBalancerIP", "externalIP")
    return [
        cell.outcome
        for cell in cells(there)
        if cell.flow.source.kind == "client" and cell.flow.destination.kind in kinds
    ]


@given(clusters())
def test_they_hold_as_asking_every_node_says(there: Cluster) -> None:
    """Source ranges aside, which choose among clients, and addresses that a balancer owns."""
    web = there.services[0]
    vips = tuple(ingress for ingress in web.ingress if ingress.mode == "VIP")
    web = replace(web, source_ranges=(), ingress=vips)
    there = replace(there, services=(web,))
    told = holds(cluster_checked(there, require="client-ip,no-blackhole"))
    fates = outside(there)
    assert (told["no-blackhole"] == "certain") == all(o.fate is Fate.DELIVERED for o in fates)
    served = [o for o in fates if o.fate in (Fate.DELIVERED, Fate.MIXED)]
    kept = bool([o for o in fates if o.fate is Fate.DELIVERED]) and all(
        o.client_ip != "replaced" for o in served
    )
    assert (told["client-ip"] == "certain") == kept


@given(clusters(), st.sampled_from(sorted(BALANCERS)), st.floats(0.05, 1))
def test_max_share_is_that_of_the_shares(there: Cluster, balancer: str, most: float) -> None:
    web = replace(there.services[0], source_ranges=())
    there = replace(there, services=(web,))
    assume(not BALANCERS[balancer].typed or web.type == "LoadBalancer")
    told = holds(cluster_checked(there, balancer=balancer, require=f"max-share={most:.6f}"))
    parts = [x for s in shares(there, web, BALANCERS[balancer]) for x in s.pods.values()]
    limit = float(f"{most:.6f}")
    assume(all(abs(x - limit) > 1e-6 for x in parts))
    assert (told["max-share"] == "certain") == (bool(parts) and max(parts) <= limit)
