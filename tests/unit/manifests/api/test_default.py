"""The values that a Service gets when it leaves them out (semantics §1.1, §1.5)."""

from __future__ import annotations

import copy

import pytest

from secondhop.manifests.api.default import default_service
from secondhop.manifests.api.field import Object

PLAIN: Object = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster",
    "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
}
OUTSIDE = PLAIN | {"externalTrafficPolicy": "Cluster"}
STICKY = {"clientIP": {"timeoutSeconds": 10800}}
CASES: list[tuple[Object, Object]] = [
    ({}, PLAIN),
    ({"type": "", "sessionAffinity": None, "externalIPs": []}, PLAIN | {"externalIPs": []}),
    ({"type": "NodePort"}, OUTSIDE | {"type": "NodePort"}),
    (
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
        OUTSIDE
        | {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "allocateLoadBalancerNodePorts": True,
        },
    ),
    ({"externalIPs": ["192.0.2.1"]}, OUTSIDE | {"externalIPs": ["192.0.2.1"]}),
    (
        {"type": "ExternalName", "externalName": "x"},
        {k: v for k, v in PLAIN.items() if k != "internalTrafficPolicy"}
        | {"type": "ExternalName", "externalName": "x"},
    ),
    ({"sessionAffinityConfig": STICKY}, PLAIN),
    (
        {"sessionAffinity": "ClientIP"},
        PLAIN | {"sessionAffinity": "ClientIP", "sessionAffinityConfig": STICKY},
    ),
    (
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}},
        PLAIN | {"sessionAffinity": "ClientIP", "sessionAffinityConfig": STICKY},
    ),
    (
        {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
        },
        PLAIN
        | {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
        },
    ),
    (
        {"ports": [{"port": 53, "protocol": "UDP", "targetPort": "dns"}, {"port": 1}]},
        PLAIN
        | {
            "ports": [
                {"port": 53, "protocol": "UDP", "targetPort": "dns"},
                {"port": 1, "protocol": "TCP", "targetPort": 1},
            ]
        },
    ),
]


@pytest.mark.parametrize(("spec", "expected"), CASES)
def test_spec(spec: Object, expected: Object) -> None:
    given = {"spec": {"ports": [{"port": 80}]} | spec}
    before = copy.deepcopy(given)
    done = default_service(given)
    assert done["spec"] == expected
    assert given == before
    assert default_service(done) == done


def test_the_addresses_of_a_balancer_are_virtual() -> None:
    entries = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}, {"hostname": "x"}]
    status = {"loadBalancer": {"ingress": entries}}
    done = default_service({"spec": {"type": "LoadBalancer"}, "status": status})
    assert done["status"]["loadBalancer"]["ingress"] == [
        entries[0] | {"ipMode": "VIP"},
        *entries[1:],
    ]
    assert "ipMode" not in entries[0]
    done = default_service({"spec": {"type": "NodePort"}, "status": status})
    assert done["status"] == status
