"""NetworkPolicies of the input: what is kept, and what is refused."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from support import deployment, service, world

from secondhop.errors import ManifestError
from secondhop.model.policy import IngressRule, IPBlock, PolicyPort


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "guard"},
        "spec": {"podSelector": {}, **spec},
    }


PEER: dict[str, Any] = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.42.0.0/16"]}}
BLOCK = IPBlock(ip_network("10.0.0.0/8"), (ip_network("10.42.0.0/16"),))
RULES = [
    ({"from": [PEER]}, IngressRule((BLOCK,))),
    ({"from": [{"podSelector": {}}]}, IngressRule()),
    ({}, IngressRule(everybody=True)),
    (
        {"ports": [{"port": 80, "endPort": 90}, {"protocol": "UDP", "port": "dns"}, {}]},
        IngressRule(
            ports=(PolicyPort("TCP", 80, 90), PolicyPort("UDP", "dns"), PolicyPort("TCP")),
            everybody=True,
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("written", "read"), RULES)
def test_rules(written: dict[str, Any], read: IngressRule) -> None:
    (found,) = world(deployment(), service(), policy(ingress=[written])).policies
    assert (str(found), found.rules) == ("default/guard", (read,))


def test_selectors() -> None:
    expression = {"key": "tier", "operator": "In", "values": ["front"]}
    chosen = {"matchLabels": {"app": "web"}, "matchExpressions": [expression]}
    (found,) = world(service(), policy(podSelector=chosen)).policies
    assert found.selector == chosen


@pytest.mark.parametrize(
    ("types", "count"), [(None, 1), (["Ingress"], 1), (["Ingress", "Egress"], 1), (["Egress"], 0)]
)
def test_only_policies_of_type_ingress_isolate(types: list[str] | None, count: int) -> None:
    assert len(world(service(), policy(policyTypes=types)).policies) == count


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"cidr": "10.0.0.1/8"}, r"spec.ingress\[0\].from\[0\].ipBlock.cidr: .*Write 10.0.0.0/8"),
        ({"cidr": "10.0.0.0/8", "except": ["x"]}, r"ipBlock.except\[0\]: Invalid value"),
    ],
)
def test_bad_ranges_are_refused(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ManifestError, match=f"(?s){says}"):
        world(service(), policy(ingress=[{"from": [{"ipBlock": block}]}]))


def test_a_note_says_that_they_are_not_applied() -> None:
    assert "1 NetworkPolicy: not applied; `diff` compares" in "\n".join(
        world(service(), policy()).notes
    )
