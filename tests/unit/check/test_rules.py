"""When a rule speaks and when it does not; docs/findings has the plain cases."""

from typing import Any

import pytest
from support import deployment, lab, pod, service

from secondhop.model.finding import Check, Finding
from secondhop.model.version import KubeVersion

from .build import NODES, PLACES, checked, ids

LAB = lab(NODES, placement=PLACES)
ZONES = [node | {"zone": "ab"[k % 2]} for k, node in enumerate(NODES)]
ZONED = lab(ZONES, placement=PLACES)
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}
BALANCED: dict[str, Any] = LOCAL | {"type": "LoadBalancer"}
STATUS: dict[str, Any] = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}}


def slices(*entries: dict[str, Any], name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80}],
        "endpoints": list(entries),
    }


def entry(node: int, number: int = 5, **fields: Any) -> dict[str, Any]:
    return {"addresses": [f"10.42.{node}.{number}"], "nodeName": f"n{node}", **fields}


def one(found: Check, id: str) -> Finding:
    (finding,) = (finding for finding in found.findings if finding.id == id)
    return finding


@pytest.mark.parametrize(
    ("balancer", "spec", "dark"),
    [
        ("every-node", LOCAL, True),
        ("every-node", BALANCED, True),
        ("single-node", BALANCED, True),
        ("healthy-nodes", LOCAL, False),
        ("healthy-nodes", BALANCED, False),
        ("weighted", BALANCED, False),
        ("metallb-bgp", BALANCED, False),
        ("metallb-l2", BALANCED, False),
        ("cloud-proxy", BALANCED, False),
        ("metallb-bgp", LOCAL, True),  # does not serve type NodePort: every node stands open
        ("every-node", {}, False),
    ],
)
def test_local_drops_where_the_balancer_sends(
    balancer: str, spec: dict[str, Any], dark: bool
) -> None:
    given = service(**spec) | (STATUS if "type" in spec else {})
    found = checked(given, deployment(), LAB, balancer=balancer)
    assert ("local-drops" in ids(found)) == dark


def test_local_drops_names_the_nodes_and_the_loss() -> None:
    told = one(checked(service(**LOCAL), deployment(), LAB), "local-drops")
    assert told.message == (
        "n2, n3 drop what outside clients send: no ready pod there, 1 on 1 other node."
        " Behind every-node that is 66.7% of connections."
    )
    many = [{**NODES[0], "name": f"m{k}", "address": f"10.1.0.{k}"} for k in range(9, 19)]
    crowd = lab(many, placement={"web": "m9"})
    del crowd["nodes"][0]["podCIDR"]
    for k, node in enumerate(crowd["nodes"]):
        node["podCIDR"] = f"10.42.{k}.0/24"
    told = one(checked(service(**LOCAL), deployment(), crowd), "local-drops")
    assert told.message.startswith("m10, m11, m12 and 6 more drop what")


def test_remedies_fit_the_type() -> None:
    crowd = deployment(replicas=4)
    told = [f.remedy[:20] for f in checked(service(**LOCAL), crowd, LAB).findings]
    assert told == ["Run the same number "]
    told = [f.remedy[:20] for f in checked(service(**BALANCED), crowd, LAB).findings]
    assert told == ["Use a balancer that "]
    remedies = [
        one(checked(service(**spec), deployment(), LAB), "local-drops").remedy[:20]
        for spec in (LOCAL, BALANCED)
    ]
    assert remedies == ["Keep a ready pod on ", "Let the balancer che"]


def test_internal_drops_name_the_nodes() -> None:
    inner = service(type="ClusterIP", internalTrafficPolicy="Local", ports=[{"port": 80}])
    told = one(checked(inner, deployment(replicas=2), LAB), "internal-policy-drops")
    assert told.message.startswith("callers on n3 are dropped")


def test_a_terminating_pod_elsewhere_is_not_called_ready() -> None:
    leaving = entry(1, conditions={"ready": False, "serving": True, "terminating": True})
    told = one(checked(service(**LOCAL), slices(leaving), LAB), "local-drops")
    assert "only terminating ones elsewhere" in told.message


@pytest.mark.parametrize(
    ("spec", "balancer", "told"),
    [
        ({}, "every-node", True),
        (LOCAL, "every-node", False),
        (LOCAL, "snat-proxy", True),
        ({"type": "ClusterIP", "ports": [{"port": 80}]}, "every-node", False),
        (
            {"type": "ClusterIP", "ports": [{"port": 80}], "externalIPs": ["198.51.100.7"]},
            "every-node",
            True,
        ),
    ],
)
def test_client_ip_lost(spec: dict[str, Any], balancer: str, told: bool) -> None:
    found = checked(service(**spec), deployment(), LAB, balancer=balancer)
    assert ("client-ip-lost" in ids(found)) == told


@pytest.mark.parametrize("nodes", [3, 0])
def test_a_host_network_pod_on_the_entry_node_sees_the_client(nodes: int) -> None:
    pods = deployment()
    pods["spec"]["template"]["spec"]["hostNetwork"] = True
    told = one(checked(service(), pods, *([LAB] if nodes else [])), "client-ip-lost")
    assert told.certainty == ("certain" if nodes else "possible")
    if nodes:
        assert told.message.endswith("n1 keeps it, for a hostNetwork pod of its own.")


def test_with_an_ordinary_pod_the_client_is_hidden_for_certain() -> None:
    hosted = deployment("hosted")
    hosted["spec"]["template"]["spec"]["hostNetwork"] = True
    hosted["spec"]["template"]["metadata"]["labels"]["app"] = "web"
    hosted["spec"]["selector"]["matchLabels"]["app"] = "web"
    assert one(checked(service(), deployment(), hosted), "client-ip-lost").certainty == "certain"


def test_a_pod_outside_its_nodes_range_is_masqueraded_by_the_pod_network() -> None:
    stray = entry(1) | {"addresses": ["10.42.9.9"]}
    told = one(checked(service(**LOCAL), slices(stray), LAB), "client-ip-lost")
    assert told.remedy.startswith("Let the pod network leave the source")


@pytest.mark.parametrize(
    ("spec", "metadata", "field"),
    [
        ({"internalTrafficPolicy": "Local"}, {}, "spec.internalTrafficPolicy"),
        (LOCAL, {"service.kubernetes.io/service-proxy-name": "x"}, "spec.externalTrafficPolicy"),
        ({"internalTrafficPolicy": "Local", **LOCAL}, {}, None),
        (
            {"internalTrafficPolicy": "Local", "type": "ClusterIP", "ports": [{"port": 80}]},
            {},
            None,
        ),
    ],
)
def test_policies_without_effect(
    spec: dict[str, Any], metadata: dict[str, str], field: str | None
) -> None:
    given = service(**spec)
    given["metadata"]["labels"] = metadata
    found = checked(given, deployment(replicas=3), LAB)
    assert [f.field for f in found.findings if f.id == "policy-without-effect"] == (
        [field] if field else []
    )


@pytest.mark.parametrize(
    ("objects", "id", "certainty", "severity"),
    [
        ([], "selector-matches-nothing", "possible", "note"),
        ([deployment("db")], "selector-matches-nothing", "certain", "error"),
        ([deployment(replicas=0)], "selector-matches-nothing", "certain", "error"),
        ([pod("web-1", "n1", ready=False)], "no-ready-endpoint", "certain", "error"),
    ],
)
def test_nobody_behind_the_service(
    objects: list[dict[str, Any]], id: str, certainty: str, severity: str
) -> None:
    (told,) = checked(service(), *objects, LAB).findings
    assert (told.id, told.certainty, told.severity) == (id, certainty, severity)


def test_each_port_is_told_unless_the_pods_are_missing() -> None:
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    idle = pod("web-1", "n1", ready=False)
    assert ids(checked(service(ports=ports), idle, LAB)) == ["no-ready-endpoint"] * 2
    found = checked(service(ports=ports), deployment("db"), LAB)
    assert ids(found) == ["selector-matches-nothing"]
    assert found.findings[0].message.startswith(
        "none of 1 pods in the input has app=web; their labels: app=db, pod-template-hash="
    )


def test_a_service_without_selector_may_have_slices_elsewhere() -> None:
    given = service()
    del given["spec"]["selector"]
    (told,) = checked(given, LAB).findings
    assert (told.id, told.certainty, told.severity) == ("no-ready-endpoint", "possible", "note")


def test_labels_of_pods_reach_no_terminal_raw() -> None:
    other = deployment("db")
    other["spec"]["template"]["metadata"]["labels"] = {"app": "\x1b[31mred"}
    told = one(checked(service(), other, LAB), "selector-matches-nothing")
    assert "\x1b" not in told.message


@pytest.mark.parametrize(
    ("replicas", "balancer", "told"),
    [
        (3, "every-node", False),
        (4, "every-node", True),
        (4, "weighted", False),
        (4, "healthy-nodes", True),
        (7, "every-node", True),  # 3, 2, 2: half as much again
        (10, "every-node", False),  # 4, 3, 3
        (1, "every-node", False),
        (2, "single-node", False),
    ],
)
def test_shares_that_differ_much(replicas: int, balancer: str, told: bool) -> None:
    found = checked(service(**BALANCED), deployment(replicas=replicas), LAB, balancer=balancer)
    assert ("uneven-share" in ids(found)) == told


def test_zones_are_uneven_too() -> None:
    found = checked(service(trafficDistribution="PreferSameZone"), deployment(replicas=2), ZONED)
    told = one(found, "uneven-share")
    assert (told.field, "a zone splits" in told.message) == ("spec.trafficDistribution", True)


@pytest.mark.parametrize(
    ("ranges", "spec", "expected"),
    [
        (["192.168.22.0/24", "10.42.0.0/16"], {}, ["ranges-unguarded"]),
        (["192.168.22.0/24", "10.0.0.0/8"], {"allocateLoadBalancerNodePorts": False}, []),
        (["192.168.22.0/24"], {"allocateLoadBalancerNodePorts": False}, ["ranges-cut-off-pods"]),
        (["0.0.0.0/0"], {}, []),
        (["0.0.0.0/0", "10.0.0.0/8"], {}, ["ranges-lifted"]),
        (
            ["10.0.0.0/8"],
            {"allocateLoadBalancerNodePorts": False, "externalIPs": ["198.51.100.7"]},
            ["ranges-unguarded"],
        ),
        (["fd00::/8"], {}, ["ranges-one-family-open"]),
    ],
)
def test_source_ranges(ranges: list[str], spec: dict[str, Any], expected: list[str]) -> None:
    given = service(type="LoadBalancer", loadBalancerSourceRanges=ranges, **LOCAL)
    if "allocateLoadBalancerNodePorts" in spec:
        given["spec"]["ports"] = [{"port": 80}]
    given["spec"] |= spec
    found = checked(given | STATUS, deployment(replicas=3), LAB)
    assert ids(found) == expected


def test_the_range_that_lifts_the_others_is_named() -> None:
    ranges = ["10.0.0.0/8", "0.0.0.0/0"]
    given = service(type="LoadBalancer", loadBalancerSourceRanges=ranges, **LOCAL)
    told = one(checked(given, deployment(), LAB), "ranges-lifted")
    assert told.remedy == "Remove 0.0.0.0/0."


def test_whom_only_pods_may_reach_everybody_else_is_barred_from() -> None:
    given = service(type="LoadBalancer", loadBalancerSourceRanges=["10.42.0.0/16"], **LOCAL)
    found = checked(given | STATUS, deployment(replicas=3), LAB, require="no-blackhole")
    (told,) = found.requirements
    assert (told.holds, "the source is outside" in told.why) == ("no", True)


def test_a_claimed_address_is_an_entry_of_one_service_only() -> None:
    ports = [{"port": 80}]
    twins = [
        service(name, type="ClusterIP", ports=ports, externalIPs=["198.51.100.7"])
        for name in ("web", "other")
    ]
    found = checked(*twins, deployment(), deployment("other"), LAB)
    told = {finding.id: finding.subject for finding in found.findings}
    assert told == {
        "client-ip-lost": "Service default/web",
        "claimed-twice": "Service default/other",
    }


def test_pods_are_perhaps_cut_off_while_the_address_is_not_known() -> None:
    given = service(type="LoadBalancer", loadBalancerSourceRanges=["192.168.22.0/24"], **LOCAL)
    found = checked(given, deployment(replicas=3), LAB)
    assert one(found, "ranges-cut-off-pods").certainty == "possible"
    proxied = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10", "ipMode": "Proxy"}]}}
    found = checked(given | {"status": proxied}, deployment(replicas=3), LAB)
    assert "ranges-cut-off-pods" not in ids(found)


def test_a_client_outside_the_ranges_is_not_a_black_hole() -> None:
    given = service(
        type="LoadBalancer",
        loadBalancerSourceRanges=["198.51.100.0/24", "10.42.0.0/16"],
        allocateLoadBalancerNodePorts=False,
        ports=[{"port": 80}],
        **LOCAL,
    )
    found = checked(given | STATUS, deployment(replicas=3), LAB, require="no-blackhole,client-ip")
    assert (ids(found), found.met) == ([], True)


HINT: dict[str, Any] = {"hints": {"forZones": [{"name": "a"}]}}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([entry(1, **HINT), entry(2)], True),
        ([entry(1, **HINT), entry(2, **HINT)], False),
        ([entry(1), entry(2)], False),
        ([entry(1, **HINT), entry(2, conditions={"ready": False})], False),
    ],
)
def test_hints_of_slices(entries: list[dict[str, Any]], told: bool) -> None:
    found = checked(service(), slices(*entries), ZONED)
    assert [f.remedy for f in found.findings if f.id == "hints-off"] == (
        ["Give every endpoint of the EndpointSlices a hint, or none."] if told else []
    )


@pytest.mark.parametrize(
    ("version", "wanted", "remedy"),
    [
        ("1.36", "PreferSameZone", None),
        ("1.33", "PreferSameZone", "Write PreferClose."),
        ("1.30", "PreferSameZone", "Upgrade to 1.34, or remove it."),
        ("1.30", "PreferClose", "Upgrade to 1.31, or remove it."),
        ("1.31", "PreferClose", None),
    ],
)
def test_distributions_by_version(version: str, wanted: str, remedy: str | None) -> None:
    release = KubeVersion(1, int(version[2:]))
    found = checked(service(trafficDistribution=wanted), deployment(), ZONED, kube_version=release)
    told = [f.remedy for f in found.findings if f.id == "distribution-unknown"]
    assert told == ([remedy] if remedy else [])


def test_a_node_without_a_zone_is_named() -> None:
    some = [node if k else node | {"zone": "a"} for k, node in enumerate(NODES)]
    bare = lab(some, placement=PLACES)
    found = checked(service(trafficDistribution="PreferClose"), deployment(replicas=3), bare)
    told = one(found, "hints-off")
    assert "2 of 3 ready endpoints have none" in told.message
    assert told.remedy == "Label node n2 with topology.kubernetes.io/zone."


def test_names_of_nodes_do_not_matter_under_cluster() -> None:
    lost = entry(2) | {"nodeName": "n2.example.com"}
    assert ids(checked(service(), slices(lost), LAB)) == ["client-ip-lost"]


def test_one_local_endpoint_is_enough_not_to_doubt_the_names() -> None:
    lost = entry(2) | {"nodeName": "n2.example.com"}
    found = checked(service(**LOCAL), slices(entry(1), lost), LAB)
    assert "no-local-endpoint" not in ids(found)
    assert "local-drops" in ids(found)
    found = checked(service(**LOCAL), slices(lost), LAB)
    assert ids(found) == ["no-local-endpoint"]


def test_what_hangs_on_nodes_is_only_possible_without_them() -> None:
    found = checked(service(**BALANCED), deployment(replicas=4))
    assert {f.id: f.certainty for f in found.findings} == {
        "local-drops": "possible",
        "uneven-share": "possible",
    }


def test_every_finding_has_the_line_of_its_field() -> None:
    for finding in checked(service(**BALANCED), deployment(replicas=1), LAB).findings:
        assert finding.where
        assert (finding.where.file, finding.where.line) == ("web.yaml", 1)


def test_what_a_server_gave_has_no_line() -> None:
    given = service(**LOCAL)
    given["metadata"]["uid"] = "1"
    (told,) = checked(given, deployment(), LAB).findings
    assert told.where
    assert str(told.where) == "web.yaml"
