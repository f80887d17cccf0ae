"""Services: defaulting, allocation, refusals in the API server's words (semantics §1.5)."""

from __future__ import annotations

from typing import Any

import pytest

from secondhop.errors import ManifestError
from secondhop.manifests import with_policy
from secondhop.model.cluster import Service

from .helpers import Object, complaints, lab, refusals, service, world


def only(*objects: Object) -> Service:
    """The first Service of a World."""
    return world(*objects).cluster.services[0]


def node_ports(*objects: Object) -> list[list[int]]:
    return [[port.node_port for port in one.ports] for one in world(*objects).cluster.services]


def cluster_ips(*objects: Object) -> list[list[str]]:
    return [[str(ip) for ip in one.cluster_ips] for one in world(*objects).cluster.services]


def ports(*entries: tuple[str, int, str], **fields: Any) -> list[Object]:
    return [{"name": n, "port": p, "protocol": q, **fields} for n, p, q in entries]


DUAL = lab(
    nodes=[{"name": "a", "addresses": ["10.0.0.1", "fd00::1"]}],
    network={
        "podCIDRs": ["10.42.0.0/16", "fd00:10:42::/48"],
        "serviceCIDRs": ["10.43.0.0/16", "fd00:10:43::/112"],
    },
)


def test_defaults() -> None:
    plain = only(service())
    assert (plain.type, plain.namespace) == ("ClusterIP", "default")
    assert plain.external_traffic_policy == plain.internal_traffic_policy == "Cluster"
    assert (plain.ports[0].protocol, plain.ports[0].node_port) == ("TCP", 0)
    assert (plain.affinity_timeout, plain.proxy_name) == (None, None)
    assert only(service(sessionAffinity="ClientIP")).affinity_timeout == 10800
    assert world(service(), namespace="shop").cluster.services[0].namespace == "shop"


def test_every_field_that_matters() -> None:
    ingress = [{"ip": "203.0.113.9"}, {"ip": "fd00::9", "ipMode": "Proxy"}, {"hostname": "lb"}]
    value = service(
        type="LoadBalancer",
        externalTrafficPolicy="Local",
        internalTrafficPolicy="Local",
        externalIPs=["203.0.113.20"],
        loadBalancerSourceRanges=[" 10.0.0.0/8 ", "fd00::/8"],
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}},
    )
    value["status"] = {"loadBalancer": {"ingress": ingress}}
    value["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "cilium"}
    found = only(value)
    assert found.external_traffic_policy == found.internal_traffic_policy == "Local"
    assert [str(ip) for ip in found.external_ips] == ["203.0.113.20"]
    assert [(str(i.ip), i.mode) for i in found.ingress] == [
        ("203.0.113.9", "VIP"),
        ("fd00::9", "Proxy"),
    ]
    assert [str(r) for r in found.source_ranges] == ["10.0.0.0/8", "fd00::/8"]
    assert (found.affinity_timeout, found.proxy_name) == (5, "cilium")
    assert (found.ports[0].node_port, found.health_check_node_port) == (30086, 30087)


def test_headless_and_external_name_have_no_cluster_ip() -> None:
    assert cluster_ips(
        service("a", clusterIP="None"),
        service("b", type="ExternalName", externalName="example.com"),
        service("c", clusterIP="None", clusterIPs=["None"]),
    ) == [[], [], []]


def test_cluster_ips_are_allocated_lowest_first_around_the_given_ones() -> None:
    given = service("b", clusterIP="10.43.1.1")
    assert cluster_ips(service("a"), given, service("c")) == [
        ["10.43.1.2"],
        ["10.43.1.1"],
        ["10.43.1.3"],
    ]


def test_families() -> None:
    assert cluster_ips(
        DUAL,
        service("a"),
        service("b", ipFamilyPolicy="PreferDualStack"),
        service("c", ipFamilies=["IPv6"]),
        service("d", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6", "IPv4"]),
        service("e", ipFamilyPolicy="PreferDualStack", clusterIP="10.43.0.77"),
    ) == [
        ["10.43.1.1"],
        ["10.43.1.2", "fd00:10:43::101"],
        ["fd00:10:43::102"],
        ["fd00:10:43::103", "10.43.1.3"],
        ["10.43.0.77", "fd00:10:43::104"],
    ]
    assert cluster_ips(service(ipFamilyPolicy="PreferDualStack")) == [["10.43.1.1"]]


def test_node_ports_are_allocated_lowest_first_around_the_given_ones() -> None:
    taken = ports(("a", 80, "TCP"), nodePort=30087)
    assert node_ports(
        service("a", type="NodePort"),
        service("b", type="LoadBalancer"),
        service("c", type="NodePort", ports=taken),
        service("d", type="LoadBalancer", allocateLoadBalancerNodePorts=False),
    ) == [[30086], [30088], [30087], [0]]


def test_one_number_serves_tcp_and_udp_of_the_same_port() -> None:
    both = ports(("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("web", 80, "TCP"))
    assert node_ports(service(type="NodePort", ports=both)) == [[30086, 30086, 30087]]
    both[1]["nodePort"] = 31000
    assert node_ports(service(type="NodePort", ports=both)) == [[31000, 31000, 30086]]


def test_the_static_band_comes_last_and_then_the_range_is_full() -> None:
    most = [{"name": f"p{n}", "port": n + 1} for n in range(2768)]
    (found,) = node_ports(service(type="NodePort", ports=most))
    assert (found[0], found[2681], found[2682], found[-1]) == (30086, 32767, 30000, 30085)
    one_more = [*most, {"name": "last", "port": 4000}]
    assert refusals(service(type="NodePort", ports=one_more)) == [
        (
            "spec.ports[2768].nodePort",
            "Internal error occurred: failed to allocate a nodePort: range is full",
        )
    ]


RULES: list[tuple[Object, str, str]] = [
    (
        {"externalTrafficPolicy": "Local"},
        "spec.externalTrafficPolicy",
        'Invalid value: "Local": may only be set for externally-accessible services',
    ),
    (
        {"clusterIP": "None", "externalTrafficPolicy": "Local"},
        "spec.externalTrafficPolicy",
        'Invalid value: "Local": may only be set for externally-accessible services',
    ),
    (
        {"type": "NodePort", "healthCheckNodePort": 30000},
        "spec.healthCheckNodePort",
        "Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and "
        "`externalTrafficPolicy` is 'Local'",
    ),
    (
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 80},
        "spec.healthCheckNodePort",
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 80: provided "
        "port is not in the valid range. The range of valid ports is 30000-32767",
    ),
    (
        {"ports": [{"port": 80, "nodePort": 30080}]},
        "spec.ports[0].nodePort",
        "Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
        "spec.ports[0].nodePort",
        "Invalid value: 80: provided port is not in the valid range. The range of valid ports is "
        "30000-32767",
    ),
    (
        {
            "type": "NodePort",
            "ports": [{**p, "nodePort": 30001} for p in ports(("a", 1, "TCP"), ("b", 2, "TCP"))],
        },
        "spec.ports[1].nodePort",
        "Duplicate value: 30001",
    ),
    ({"ports": ports(("a", 80, "TCP"), ("b", 80, "TCP"))}, "spec.ports[1]", "Duplicate value:"),
    (
        {"ports": ports(("a", 80, "TCP"), ("a", 81, "TCP"))},
        "spec.ports[1].name",
        'Duplicate value: "a"',
    ),
    ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name", "Required value"),
    ({"ports": ports(("A", 80, "TCP"))}, "spec.ports[0].name", 'Invalid value: "A": a lowercase'),
    ({"ports": []}, "spec.ports", "Required value"),
    (
        {"ports": [{"port": 0}]},
        "spec.ports[0].port",
        "Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"port": 80, "targetPort": 65536}]},
        "spec.ports[0].targetPort",
        "Invalid value: 65536: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"port": 80, "targetPort": "80"}]},
        "spec.ports[0].targetPort",
        'Invalid value: "80": must contain at least one letter (a-z)',
    ),
    (
        {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
        "spec.LoadBalancerSourceRanges",
        "Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]},
        "spec.LoadBalancerSourceRanges[0]",
        'Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or '
        "2001:db8::/64)",
    ),
    (
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]},
        "spec.LoadBalancerSourceRanges[0]",
        'Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
    ),
    (
        {"allocateLoadBalancerNodePorts": True},
        "spec.allocateLoadBalancerNodePorts",
        "Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        {"loadBalancerClass": "x/y"},
        "spec.loadBalancerClass",
        "Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}},
        },
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        "Invalid value: 86401: must be greater than 0 and less than 86400",
    ),
    ({"externalIPs": ["x"]}, "spec.externalIPs[0]", 'Invalid value: "x": must be a valid IP'),
    ({"externalIPs": ["1.2.3.04"]}, "spec.externalIPs[0]", "must not have leading 0s"),
    ({"externalIPs": ["0.0.0.0"]}, "spec.externalIPs[0]", "may not be unspecified (0.0.0.0)"),
    ({"externalIPs": ["127.0.0.1"]}, "spec.externalIPs[0]", "may not be in the loopback range"),
    ({"externalIPs": ["fe80::1"]}, "spec.externalIPs[0]", "may not be in the link-local range"),
    (
        {"externalIPs": ["224.0.0.5"]},
        "spec.externalIPs[0]",
        "may not be in the link-local multicast range",
    ),
    (
        {"type": "NodePort", "clusterIP": "None"},
        "spec.clusterIPs[0]",
        "Invalid value: \"None\": may not be set to 'None' for NodePort services",
    ),
    (
        {"clusterIP": "None", "clusterIPs": ["None", "10.43.0.9"]},
        "spec.clusterIPs",
        'Invalid value: ["None","10.43.0.9"]: \'None\' must be the first and only value',
    ),
    (
        {"clusterIPs": ["10.43.0.9", "None"]},
        "spec.clusterIPs[1]",
        'Invalid value: "None": must be a valid IP address',
    ),
    (
        {"type": "ExternalName", "externalName": "x.example", "clusterIP": "10.43.0.9"},
        "spec.clusterIPs",
        "Forbidden: may not be set for ExternalName services",
    ),
    ({"type": "ExternalName"}, "spec.externalName", "Required value"),
    (
        {"trafficDistribution": "Nearby"},
        "spec.trafficDistribution",
        'Unsupported value: "Nearby": supported values: "PreferClose", "PreferSameZone", '
        '"PreferSameNode"',
    ),
    (
        {"clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.8"]},
        "spec.clusterIPs",
        "first value must match `clusterIP`",
    ),
    (
        {"clusterIPs": ["10.43.0.9", "10.43.0.8"], "ipFamilyPolicy": "PreferDualStack"},
        "spec.clusterIPs",
        "may specify no more than one IP for each IP family",
    ),
    (
        {"clusterIPs": ["10.43.0.9", "fd00:10:43::9", "10.43.0.8"]},
        "spec.clusterIPs",
        "may only hold up to 2 values",
    ),
    (
        {"clusterIPs": ["10.43.0.9"], "ipFamilies": ["IPv6"]},
        "spec.clusterIPs[0]",
        'Invalid value: "10.43.0.9": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ),
    (
        {"clusterIPs": ["10.43.0.9"]},
        "spec.clusterIPs",
        'Invalid value: ["10.43.0.9"]: must be empty when `clusterIP` is not specified',
    ),
    (
        {"clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9", "fd00:10:43::9"]},
        "spec.ipFamilyPolicy",
        "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
    ),
    (
        {"ipFamilyPolicy": "RequireDualStack"},
        "spec.ipFamilyPolicy",
        'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ),
    (
        {"ipFamilies": ["IPv6"]},
        "spec.ipFamilies[0]",
        'Invalid value: "IPv6": not configured on this cluster',
    ),
]


@pytest.mark.parametrize(("spec", "field", "message"), RULES)
def test_refusals(spec: Object, field: str, message: str) -> None:
    found = refusals(service(**spec))
    assert any(f == field and message in m for f, m in found), found


def test_the_name_of_a_service_is_a_label() -> None:
    assert refusals(service("web.example")) == [
        ("metadata.name", 'Invalid value: "web.example": must not contain dots')
    ]
    (found,) = refusals(service("web_"))
    assert found[1].startswith('Invalid value: "web_": a lowercase RFC 1123 label must consist of')


def test_the_annotation_for_source_ranges() -> None:
    value = service()
    name = "service.beta.kubernetes.io/load-balancer-source-ranges"
    value["metadata"]["annotations"] = {name: "10.0.0.0/8"}
    why = "Forbidden: may only be used when `type` is 'LoadBalancer'"
    assert refusals(value) == [(f"metadata.annotations[{name}]", why)]


def test_a_status_that_a_balancer_would_not_write() -> None:
    value = service(type="NodePort")
    value["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    assert refusals(value) == [
        (
            "status.loadBalancer.ingress",
            "Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
        )
    ]
    value = service(type="LoadBalancer")
    value["status"] = {"loadBalancer": {"ingress": [{"ip": "lb"}, {"ipMode": "VIP"}]}}
    assert [field for field, _ in refusals(value)] == [
        "status.loadBalancer.ingress[0].ip",
        "status.loadBalancer.ingress[1].ipMode",
    ]


def test_an_object_from_a_server_keeps_its_old_ways_of_writing() -> None:
    live = service(
        type="LoadBalancer",
        clusterIP="010.043.000.009",
        clusterIPs=["010.043.000.009"],
        externalIPs=["203.000.113.020"],
        loadBalancerSourceRanges=["10.0.0.1/8", "010.0.0.0/8"],
    )
    live["metadata"]["uid"] = "1"
    live["status"] = {"loadBalancer": {"ingress": [{"ip": "203.000.113.009"}]}}
    found = only(live)
    assert [str(ip) for ip in (*found.cluster_ips, *found.external_ips, found.ingress[0].ip)] == [
        "10.43.0.9",
        "203.0.113.20",
        "203.0.113.9",
    ]
    assert [str(cidr) for cidr in found.source_ranges] == ["10.0.0.0/8", "10.0.0.0/8"]
    del live["metadata"]["uid"]
    assert len(refusals(live)) == 5


def test_two_services_cannot_share_a_number_whatever_the_protocol() -> None:
    tcp = service("a", type="NodePort", ports=ports(("a", 53, "TCP"), nodePort=30053))
    udp = service("b", type="NodePort", ports=ports(("a", 53, "UDP"), nodePort=30053))
    assert refusals(tcp, udp) == [
        ("spec.ports[0].nodePort", "Invalid value: 30053: provided port is already allocated")
    ]
    assert refusals(service("a", clusterIP="10.43.0.9"), service("b", clusterIP="10.43.0.9")) == [
        (
            "spec.clusterIPs",
            'Invalid value: ["10.43.0.9"]: failed to allocate IP 10.43.0.9: provided IP is already '
            "allocated",
        )
    ]


def test_who_has_what_is_taken_is_said_with_the_remedy() -> None:
    one = service(
        "a", type="NodePort", clusterIP="10.43.0.9", ports=[{"port": 1, "nodePort": 30001}]
    )
    other = {**one, "metadata": {"name": "b"}}
    with pytest.raises(ManifestError) as caught:
        world(one, other)
    assert [(problem.field, problem.remedy) for problem in caught.value.problems] == [
        (
            field,
            "Service default/a has it. Choose another one, or leave it out to have one allocated.",
        )
        for field in ("spec.clusterIPs", "spec.ports[0].nodePort")
    ]


def test_every_mistake_in_one_pass() -> None:
    """The server would stop at the first that its allocator meets; each is at its own line."""
    bad = service(type="NodePort", ports=[{"port": 1, "nodePort": 1}, {"port": 2, "nodePort": 2}])
    bad["spec"]["ports"][0]["name"], bad["spec"]["ports"][1]["name"] = "a", "b"
    assert [field for field, _ in refusals(bad)] == [
        "spec.ports[0].nodePort",
        "spec.ports[1].nodePort",
    ]
    worse = service(
        "Web", type="NodePort", externalIPs=["::1"], loadBalancerSourceRanges=["1.1.1.1/8"]
    )
    worse["metadata"]["labels"] = {"a b": "c"}
    assert {field for field, _ in refusals(worse)} == {
        "metadata.name",
        "metadata.labels",
        "spec.externalIPs[0]",
        "spec.LoadBalancerSourceRanges",
        "spec.LoadBalancerSourceRanges[0]",
    }
    taken = service("a", type="NodePort", ports=[{"port": 1, "nodePort": 30001}])
    twice = ports(("a", 1, "TCP"), ("a", 2, "TCP"), nodePort=30001)
    assert refusals(taken, service("b", type="NodePort", ports=twice)) == [
        ("spec.ports[1].name", 'Duplicate value: "a"'),
        ("spec.ports[1].nodePort", "Duplicate value: 30001"),
        ("spec.ports[0].nodePort", "Invalid value: 30001: provided port is already allocated"),
    ]


def test_problems_stand_where_the_user_wrote_the_field() -> None:
    text = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.43.0.300
  loadBalancerSourceRanges:
  - 10.0.0.1/8
  ports:
  - port: 80
"""
    found = complaints(text)
    assert [line.split(": ")[:2] for line in found] == [
        ["5", "spec.clusterIPs[0]"],
        ["6", "spec.LoadBalancerSourceRanges"],
        ["7", "spec.LoadBalancerSourceRanges[0]"],
    ]


def test_a_stated_service_cidr_binds_a_guessed_one_does_not() -> None:
    stated = lab(network={"podCIDR": "10.42.0.0/16", "serviceCIDR": "10.43.0.0/16"})
    foreign = service(clusterIP="10.96.0.10")
    assert cluster_ips(foreign) == [["10.96.0.10"]]
    assert refusals(stated, foreign) == [
        (
            "spec.clusterIPs",
            'Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: the provided network '
            "does not match the current range",
        )
    ]


def test_a_server_may_have_other_ranges() -> None:
    live = service(type="NodePort", ports=[{"port": 80, "nodePort": 80}])
    live["metadata"]["uid"] = "1"
    assert node_ports(live) == [[80]]


def test_with_policy_is_what_kubectl_patch_does() -> None:
    before = world(service("a", type="LoadBalancer"), service("b", type="NodePort")).cluster
    local = with_policy(before, before.services[0], "Local")
    assert local.services[0].external_traffic_policy == "Local"
    assert local.services[0].health_check_node_port == 30088
    assert local.services[1:] == before.services[1:]
    assert with_policy(local, local.services[0], "Local") == local
    assert with_policy(local, local.services[0], "Cluster") == before
    other = with_policy(before, before.services[1], "Local").services[1]
    assert (other.external_traffic_policy, other.health_check_node_port) == ("Local", 0)


def test_with_policy_refuses_what_kubectl_would() -> None:
    cluster = world(service()).cluster
    with pytest.raises(ManifestError, match="may only be set for externally-accessible services"):
        with_policy(cluster, cluster.services[0], "Local")
    with pytest.raises(KeyError):
        with_policy(world().cluster, only(service(type="NodePort")), "Local")
