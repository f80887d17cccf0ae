"""Services: what is allocated is held exactly as long as it is needed (semantics §1.5)."""

from __future__ import annotations

from typing import Any

import pytest
from support import service

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Options
from secondhop.errors import ApiError

from .helpers import CIDR, a_server, create, refusal

SERVICES = KINDS["Service"]
HEADLESS = {"type": "ClusterIP", "node_port": 0, "clusterIP": "None"}
LOCAL = {"spec": {"externalTrafficPolicy": "Local"}}


def test_the_service_of_the_api_has_the_first_address() -> None:
    (found,) = a_server().list(SERVICES).items
    assert found["metadata"]["name"] == "kubernetes"
    assert found["spec"]["clusterIP"] == str(CIDR[1])
    assert found["spec"]["ports"] == [
        {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    ]


def test_the_reference_patches() -> None:
    server = a_server()
    made = create(server, "Service", service(node_port=30316))
    assert made["spec"]["externalTrafficPolicy"] == "Cluster"
    local = server.patch(SERVICES, "web", LOCAL, "default").object
    assert local["spec"] == {**made["spec"], "externalTrafficPolicy": "Local"}
    assert server.patch(SERVICES, "web", LOCAL, "default").object is local


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"node_port": 30080}, 422, 'Service "two" is invalid: spec.ports[0].nodePort: Invalid '
         "value: 30080: provided port is already allocated"),
        ({"node_port": 80}, 422, 'Service "two" is invalid: spec.ports[0].nodePort: Invalid value: '
         "80: provided port is not in the valid range. The range of valid ports is 30000-32767"),
        ({"node_port": 0, "clusterIP": "10.43.0.1"}, 422, 'Service "two" is invalid: '
         'spec.clusterIPs: Invalid value: ["10.43.0.1"]: failed to allocate IP 10.43.0.1: provided '
         "IP is already allocated"),
        ({"node_port": 0, "type": "LoadBalancer", "externalTrafficPolicy": "Local",
          "healthCheckNodePort": 30080}, 500, "Internal error occurred: failed to allocate "
         "requested HealthCheck NodePort 30080: provided port is already allocated"),
        ({"node_port": 0, "externalTrafficPolicy": "x"}, 422, 'Service "two" is invalid: '
         'spec.externalTrafficPolicy: Unsupported value: "x": supported values: "Cluster", '
         '"Local"'),
        ({"type": "ClusterIP", "node_port": 30081}, 422, 'Service "two" is invalid: '
         "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
    ],
)  # fmt: skip
def test_refusals(spec: dict[str, Any], code: int, message: str) -> None:
    server = a_server()
    create(server, "Service", service())
    with pytest.raises(ApiError) as error:
        create(server, "Service", service("two", **spec))
    assert (refusal(error)[0], refusal(error)[2]) == (code, message)


def test_causes() -> None:
    server = a_server()
    with pytest.raises(ApiError) as error:
        create(server, "Service", service(ports=[], sessionAffinity="x"))
    assert error.value.details == {
        "name": "web",
        "kind": "Service",
        "causes": [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.ports"},
            {
                "reason": "FieldValueNotSupported",
                "message": 'Unsupported value: "x": supported values: "ClientIP", "None"',
                "field": "spec.sessionAffinity",
            },
        ],
    }
    assert error.value.message == (
        'Service "web" is invalid: [spec.ports: Required value, spec.sessionAffinity: Unsupported '
        'value: "x": supported values: "ClientIP", "None"]'
    )


def first_free() -> tuple[str, int]:
    """What a Service gets on a server where nothing has happened."""
    spec = create(a_server(), "Service", service(node_port=0))["spec"]
    return spec["clusterIP"], spec["ports"][0]["nodePort"]


@pytest.mark.parametrize("what", ["invalid", "there already", "dry run"])
def test_a_write_that_is_not_stored_holds_nothing(what: str) -> None:
    server = a_server()
    if what == "invalid":
        with pytest.raises(ApiError):
            create(server, "Service", service(node_port=0, sessionAffinity="x"))
    elif what == "dry run":
        options = Options(dry_run=True)
        made = create(server, "Service", service(node_port=0), options=options)
        assert made["spec"]["ports"][0]["nodePort"] == 32769  # semantics §1.5
    else:
        with pytest.raises(ApiError) as error:
            create(server, "Service", service("kubernetes", node_port=0))
        assert error.value.reason == "AlreadyExists"
    spec = create(server, "Service", service(node_port=0))["spec"]
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == first_free()


def test_a_change_that_is_refused_holds_nothing() -> None:
    server = a_server()
    create(server, "Service", service())
    patch = {"spec": {"ports": [{"port": 81, "nodePort": 30081}]}}  # a second one without a name
    for options in Options(), Options(dry_run=True):
        with pytest.raises(ApiError) as error:
            server.patch(SERVICES, "web", patch, "default", options=options)
        assert error.value.code == 422
    create(server, "Service", service("two", node_port=30081))


def test_types_come_and_go() -> None:
    server = a_server()
    create(server, "Service", service())
    balancer = {"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}
    spec = server.patch(SERVICES, "web", balancer, "default").object["spec"]
    assert spec["ports"][0]["nodePort"] == 30080
    health = spec["healthCheckNodePort"]
    ingress = [{"ip": "203.0.113.1"}]
    status = {"status": {"loadBalancer": {"ingress": ingress}}}
    done = server.patch(SERVICES, "web", status, "default", "merge", subresource="status").object
    assert done["status"]["loadBalancer"] == {"ingress": [{"ip": "203.0.113.1", "ipMode": "VIP"}]}
    plain = {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}}
    done = server.patch(SERVICES, "web", plain, "default", "merge").object
    assert done["status"] == {"loadBalancer": {}}
    gone = {"healthCheckNodePort", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"}
    assert not gone & done["spec"].keys()
    assert "nodePort" not in done["spec"]["ports"][0]
    for n, number in enumerate((30080, health)):
        create(server, "Service", service(f"s{n}", node_port=number))


def test_a_status_is_for_balancers() -> None:
    server = a_server()
    create(server, "Service", service())
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    with pytest.raises(ApiError) as error:
        server.patch(SERVICES, "web", status, "default", "merge", subresource="status")
    assert error.value.message == (
        'Service "web" is invalid: status.loadBalancer.ingress: Forbidden: may only be used when '
        "`spec.type` is 'LoadBalancer'"
    )


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        ({"externalIPs": ["203.0.113.1"]}, "spec.externalIPs is deprecated and may no longer be "
         "implemented in some clusters"),
        ({**HEADLESS, "sessionAffinity": "ClientIP"},
         "spec.SessionAffinity is ignored for headless services"),
        ({**HEADLESS, "loadBalancerIP": "203.0.113.1"},
         "spec.loadBalancerIP is ignored for headless services"),
        ({"trafficDistribution": "PreferClose"}, 'spec.trafficDistribution: "PreferClose" is '
         'deprecated; use "PreferSameZone"'),
        ({"externalName": "example.com"}, 'spec.externalName is ignored when spec.type is not '
         '"ExternalName"'),
        ({"type": "LoadBalancer", "loadBalancerIP": "FD00::1"}, "spec.loadBalancerIP: IPv6 address "
         '"FD00::1" should be in RFC 5952 canonical format ("fd00::1")'),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "FD00::/64"]},
         'spec.loadBalancerSourceRanges[1]: IPv6 CIDR value "FD00::/64" should be in RFC 5952 '
         'canonical format ("fd00::/64")'),
        ({"externalTrafficPolicy": "Local"}, None),
    ],
)  # fmt: skip
def test_warnings(spec: dict[str, Any], warning: str | None) -> None:
    answer = a_server().create(SERVICES, service(**spec), "default")
    assert answer.warnings == ([warning] if warning else [])
