"""An updated Service: what is set, what stays allocated, what stops applying (semantics §1.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import service

from secondhop.errors import ManifestError, UsageError
from secondhop.manifests import build, read_setting, read_text, updated
from secondhop.model.cluster import Service

PLAIN: dict[str, Any] = {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
INNER = service("inner") | PLAIN
BALANCED = service(type="LoadBalancer") | {
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
}
LOCAL = service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000)


def after(given: dict[str, Any], *fields: str, others: tuple[dict[str, Any], ...] = ()) -> Service:
    """The first Service after `--set` of these fields."""
    documents = read_text("\n---\n".join(map(json.dumps, (given, *others))), "web.json")
    before = build(documents).cluster
    settings = [read_setting(field) for field in fields]
    return build(
        updated(documents, before, before.services[0], settings, "default")
    ).cluster.services[0]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("externalTrafficPolicy=Local", ("spec", "externalTrafficPolicy"), "Local"),
        ("spec.externalTrafficPolicy=Local", ("spec", "externalTrafficPolicy"), "Local"),
        ("ports[0].nodePort=30080", ("spec", "ports", 0, "nodePort"), 30080),
        ("ports[1]={}", ("spec", "ports", 1), {}),
        ("clusterIP=None", ("spec", "clusterIP"), "None"),
        ("selector=null", ("spec", "selector"), None),
        ("allocateLoadBalancerNodePorts=false", ("spec", "allocateLoadBalancerNodePorts"), False),
        ('externalIPs=["203.0.113.7"]', ("spec", "externalIPs"), ["203.0.113.7"]),
        ("selector[example.com/a=b]=x=y", ("spec", "selector", "example.com/a=b"), "x=y"),
        ("metadata.annotations[a.b/c]=Auto", ("metadata", "annotations", "a.b/c"), "Auto"),
        ("status.loadBalancer=null", ("status", "loadBalancer"), None),
        ("selector.app=", ("spec", "selector", "app"), ""),
    ],
)
def test_a_setting_as_typed(text: str, path: tuple[str | int, ...], value: object) -> None:
    assert read_setting(text) == (path, value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("externalTrafficPolicy", "is not FIELD=VALUE\n  Write for example externalTrafficPolicy="),
        ("=Local", "is not FIELD=VALUE"),
        ("", "is not FIELD=VALUE"),
        ("ports[0=1", "is not FIELD=VALUE"),
        ("ports[]=1", "is not FIELD=VALUE"),
        ("a..b=1", "is not FIELD=VALUE"),
        ("spec={}", "spec cannot be set"),
        ("metadata.name=x", "metadata.name cannot be set"),
        ("metadata.namespace=x", "metadata.namespace cannot be set"),
    ],
)
def test_what_is_no_setting_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_setting(text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ports[2].port=1", "spec.ports is a list of 1, and has no 2\n  Write an index from 0 to"),
        ("ports.port=1", "spec.ports is a list of 1, and has no port"),
        ("type[0]=1", "spec.type is no mapping, and has no 0"),
        ("type.x=1", "spec.type is no mapping, and has no x"),
        ("selector[0]=1", "spec.selector is a mapping, and has no 0"),
    ],
)
def test_a_path_that_does_not_fit_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        after(service(), text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("given", "fields", "expected"),
    [
        (service(), ["externalTrafficPolicy=Local"], {"external_traffic_policy": "Local"}),
        (service(), ["ports[0].nodePort=30400"], {"node_ports": [30400]}),
        (service(), ["type=LoadBalancer"], {"type": "LoadBalancer", "node_ports": [30080]}),
        (service(), ["type=ClusterIP"], {"type": "ClusterIP", "node_ports": [0]}),
        (INNER, ["type=NodePort"], {"type": "NodePort", "node_ports": [30086]}),
        (BALANCED, ["type=NodePort"], {"ingress": (), "node_ports": [30080]}),
        (BALANCED, ["externalTrafficPolicy=Local"], {"health_check_node_port": 30086}),
        (LOCAL, ["externalTrafficPolicy=Cluster"], {"health_check_node_port": 0}),
        (LOCAL, ["sessionAffinity=ClientIP"], {"health_check_node_port": 32000}),
        (LOCAL, ["type=ClusterIP"], {"external_traffic_policy": "Cluster", "node_ports": [0]}),
        (service(), ["type=ExternalName", "externalName=a.b"], {"cluster_ips": ()}),
        (
            service(),
            ['ports=[{"port":80,"name":"a"},{"port":81,"name":"b"}]'],
            {"node_ports": [30086, 30087]},
        ),
        (
            service(),
            ["ports[0].name=a", "ports[1].name=b", "ports[1].port=81"],
            {"node_ports": [30080, 30086]},
        ),
        (service(), ["ports[0].targetPort=null"], {"node_ports": [30080]}),
        (
            service(),
            ["type=LoadBalancer", "externalTrafficPolicy=Local"],
            {"health_check_node_port": 30086, "external_traffic_policy": "Local"},
        ),
    ],
)
def test_an_update_keeps_what_still_applies(
    given: dict[str, Any], fields: list[str], expected: dict[str, Any]
) -> None:
    found = after(given, *fields)
    seen = {name: getattr(found, name) for name in expected if name != "node_ports"}
    if "node_ports" in expected:
        seen["node_ports"] = [port.node_port for port in found.ports]
    assert seen == expected


def test_nobody_elses_ports_or_addresses_move() -> None:
    """Both Services have their addresses from the pool, and the second its port."""
    other = service("other") | {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    documents = read_text("\n---\n".join(map(json.dumps, (INNER, other))), "f")
    before = build(documents).cluster
    settings = [read_setting("type=NodePort")]
    changed = updated(documents, before, before.services[0], settings, "default")
    found = build(changed).cluster
    assert found.services[1] == before.services[1]
    assert found.services[0].cluster_ips == before.services[0].cluster_ips
    assert documents[0].object == INNER  # the input itself is not touched


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (["externalTrafficPolicy=local"], 'Unsupported value: "local"'),
        (["externalTraficPolicy=Local"], 'unknown field "externalTraficPolicy"'),
        (["type=ClusterIP", "externalTrafficPolicy=Local"], "externally-accessible services"),
        (["ports[0].nodePort=80"], "provided port is not in the valid range"),
        (["ports=3"], "must be a list"),
        (["ports[0]=3"], "must be a mapping"),
        (["type=3"], "must be a string"),
    ],
)
def test_what_an_api_server_would_refuse_is_refused(fields: list[str], says: str) -> None:
    with pytest.raises(ManifestError, match=says.replace("(", r"\(")) as refused:
        after(service(), *fields)
    assert "web.json:1: Service default/web spec." in str(refused.value)
