"""What the server refuses, with the path and in the words of a real one."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, pod

from secondhop.apiserver.kinds import KINDS
from secondhop.errors import ApiError

from .helpers import a_server, create
from .test_schema import changed

C0 = "spec.containers.0"
LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'"
PORT = "must be between 1 and 65535, inclusive"
NEGATIVE = "must be greater than or equal to 0"


def complaints(kind: str, value: Any) -> list[str]:
    """Paths and messages of everything that is refused, cut off where they become long."""
    with pytest.raises(ApiError) as error:
        create(a_server(), kind, value)
    assert error.value.reason == "Invalid", error.value.message
    return [f"{cause['field']}: {cause['message']}" for cause in error.value.details["causes"]]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("metadata.name", "A", 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain'),
        ("metadata.labels", {"a b": "1"}, 'metadata.labels: Invalid value: "a b": name part must'),
        ("metadata.labels", {"a": "-"}, 'metadata.labels: Invalid value: "-": a valid label must'),
        ("metadata.ownerReferences", [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ""}],
         'metadata.ownerReferences[0].uid: Invalid value: "": must not be empty'),
        ("metadata.ownerReferences",
         [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True}
          for name in ("x", "y")],
         "metadata.ownerReferences: Invalid value: "),
        ("spec.containers", [], "spec.containers: Required value"),
        (f"{C0}.name", "", "spec.containers[0].name: Required value"),
        (f"{C0}.name", "A", f'spec.containers[0].name: Invalid value: "A": {LABEL}'),
        ("spec.initContainers", [{"name": "whoami", "image": "x"}],
         'spec.initContainers[0].name: Duplicate value: "whoami"'),
        (f"{C0}.image", "", "spec.containers[0].image: Required value"),
        (f"{C0}.image", " x", 'spec.containers[0].image: Invalid value: " x": must not have'),
        (f"{C0}.imagePullPolicy", "No", "spec.containers[0].imagePullPolicy: Unsupported value: "
         '"No": supported values: "Always", "IfNotPresent", "Never"'),
        (f"{C0}.ports", [{}], "spec.containers[0].ports[0].containerPort: Required value"),
        (f"{C0}.ports", [{"containerPort": 70000}],
         f"spec.containers[0].ports[0].containerPort: Invalid value: 70000: {PORT}"),
        (f"{C0}.ports", [{"containerPort": 1, "hostPort": -1}],
         f"spec.containers[0].ports[0].hostPort: Invalid value: -1: {PORT}"),
        (f"{C0}.ports", [{"containerPort": 1, "protocol": "ICMP"}],
         'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: '
         '"SCTP", "TCP", "UDP"'),
        (f"{C0}.ports", [{"containerPort": 1, "name": "p"}, {"containerPort": 2, "name": "p"}],
         'spec.containers[0].ports[1].name: Duplicate value: "p"'),
        (f"{C0}.ports", [{"containerPort": 1, "name": "1"}],
         'spec.containers[0].ports[0].name: Invalid value: "1": must contain at least one letter'),
        (f"{C0}.env", [{"value": "x"}], "spec.containers[0].env[0].name: Required value"),
        (f"{C0}.env", [{"name": "a=b"}], 'spec.containers[0].env[0].name: Invalid value: "a=b": a'),
        (f"{C0}.env", [{"name": "a", "value": "x", "valueFrom": {}}],
         'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when'),
        (f"{C0}.volumeMounts", [{"name": "v", "mountPath": "/x"}],
         'spec.containers[0].volumeMounts[0].name: Not found: "v"'),
        (f"{C0}.readinessProbe", {},
         "spec.containers[0].readinessProbe: Required value: must specify a handler type"),
        (f"{C0}.readinessProbe", {"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}},
         "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1"),
        (f"{C0}.readinessProbe", {"httpGet": {"port": 0}},
         f"spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: {PORT}"),
        (f"{C0}.readinessProbe", {"httpGet": {"port": "a--b"}},
         'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "a--b": must not'),
        (f"{C0}.readinessProbe", {"httpGet": {"port": 1, "scheme": "FTP"}},
         'spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "FTP"'),
        (f"{C0}.readinessProbe", {"exec": {"command": []}},
         "spec.containers[0].readinessProbe.exec.command: Required value"),
        (f"{C0}.readinessProbe", {"tcpSocket": {"port": 1}, "periodSeconds": -1},
         f"spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: {NEGATIVE}"),
        (f"{C0}.livenessProbe", {"tcpSocket": {"port": 1}, "successThreshold": 2},
         "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"),
        (f"{C0}.lifecycle", {"preStop": {"sleep": {"seconds": -1}}},
         "spec.containers[0].lifecycle.preStop.sleep: Invalid value: -1: must be non-negative "
         "and less than terminationGracePeriodSeconds (30)"),
        (f"{C0}.lifecycle", {"preStop": {"sleep": {"seconds": 31}}},
         "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and"),
        ("spec.restartPolicy", "Once", 'spec.restartPolicy: Unsupported value: "Once": supported '
         'values: "Always", "Never", "OnFailure"'),
        ("spec.dnsPolicy", "x", 'spec.dnsPolicy: Unsupported value: "x"'),
        ("spec.terminationGracePeriodSeconds", -1,
         f"spec.terminationGracePeriodSeconds: Invalid value: -1: {NEGATIVE}"),
        ("spec.activeDeadlineSeconds", 0, "spec.activeDeadlineSeconds: Invalid value: 0: must be"),
        ("spec.nodeSelector", {"a b": ""}, 'spec.nodeSelector: Invalid value: "a b": name part'),
        ("spec.nodeName", "A", 'spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
        ("spec.tolerations", [{"value": "x"}],
         'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when'),
        ("spec.tolerations", [{"key": "a", "operator": "Exists", "value": "x"}],
         'spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator`'),
        ("spec.tolerations", [{"key": "a", "effect": "No"}],
         'spec.tolerations[0].effect: Unsupported value: "No"'),
        ("spec.tolerations", [{"key": "a", "tolerationSeconds": 1}],
         'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when'),
        ("spec.topologySpreadConstraints", [
            {"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
         "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
        ("spec.topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "a",
                                             "whenUnsatisfiable": "x"}],
         'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "x"'),
    ],
)  # fmt: skip
def test_pods(path: str, value: Any, expected: str) -> None:
    (found,) = complaints("Pod", changed(pod("a", "n1"), path, value))
    assert found.startswith(expected)


def test_a_host_port_is_the_container_s_on_the_host_network() -> None:
    value = changed(pod("a", "n1"), "spec.hostNetwork", True)
    value = changed(value, f"{C0}.ports", [{"containerPort": 1, "hostPort": 2}])
    assert complaints("Pod", value) == [
        "spec.containers[0].ports[0].containerPort: Invalid value: 1: must match `hostPort` when "
        "`hostNetwork` is true"
    ]


@pytest.mark.parametrize(
    ("path", "value", "refused"),
    [
        (f"{C0}.image", "other", False),
        ("metadata.labels", {"a": "b"}, False),
        ("spec.activeDeadlineSeconds", 5, False),
        (f"{C0}.args", ["x"], True),
        ("spec.nodeName", "n2", True),
        ("spec.hostNetwork", True, True),
    ],
)
def test_hardly_anything_of_a_pod_may_change(path: str, value: Any, refused: bool) -> None:
    server = a_server()
    create(server, "Pod", pod("a", "n1"))
    new = changed(pod("a", "n1"), path, value)
    if not refused:
        server.update(KINDS["Pod"], "a", new, "default")
        return
    with pytest.raises(ApiError) as error:
        server.update(KINDS["Pod"], "a", new, "default")
    assert error.value.message.startswith(
        'Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than '
        "`spec.containers[*].image`,"
    )


TEMPLATE = "spec.template.spec"


@pytest.mark.parametrize(
    ("kind", "path", "value", "expected"),
    [
        ("Deployment", "spec.replicas", -1, f"spec.replicas: Invalid value: -1: {NEGATIVE}"),
        ("ReplicaSet", "spec.replicas", -1, f"spec.replicas: Invalid value: -1: {NEGATIVE}"),
        ("Deployment", "spec.selector", None, "spec.selector: Required value"),
        ("Deployment", "spec.selector", {},
         "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        ("DaemonSet", "spec.selector", {},
         "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
        ("Deployment", "spec.selector.matchLabels", {"app": "x"},
         'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match '
         "template `labels`"),
        ("DaemonSet", "spec.template.metadata", {},
         "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template"),
        ("Deployment", "spec.selector.matchExpressions", [{"key": "a", "operator": "In"}],
         "spec.selector.matchExpressions[0].values: Required value: must be specified when"),
        ("Deployment", "spec.selector.matchExpressions",
         [{"key": "a", "operator": "Exists", "values": ["b"]}],
         "spec.selector.matchExpressions[0].values: Forbidden: may not be specified when"),
        ("Deployment", "spec.selector.matchExpressions", [{"key": "a", "operator": "Is"}],
         'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector'),
        ("Deployment", f"{TEMPLATE}.restartPolicy", "Never",
         'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: '
         '"Always"'),
        ("Deployment", f"{TEMPLATE}.containers.0.image", "",
         "spec.template.spec.containers[0].image: Required value"),
        ("Deployment", "spec.strategy", {"type": "x"},
         'spec.strategy.type: Unsupported value: "x": supported values: "Recreate", '
         '"RollingUpdate"'),
        ("Deployment", "spec.strategy", {"type": "Recreate", "rollingUpdate": {}},
         "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is"),
        ("Deployment", "spec.strategy.rollingUpdate", {"maxSurge": 0, "maxUnavailable": "0%"},
         'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when'),
        ("Deployment", "spec.strategy.rollingUpdate", {"maxSurge": "²%"},
         'spec.strategy.rollingUpdate.maxSurge: Invalid value: "²%": a valid percent string'),
        ("Deployment", "spec.strategy.rollingUpdate", {"maxUnavailable": "101%"},
         'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater'),
        ("Deployment", "spec.strategy.rollingUpdate", {"maxSurge": "x"},
         'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must'),
        ("Deployment", "spec.strategy.rollingUpdate", {"maxSurge": -1},
         f"spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: {NEGATIVE}"),
        ("Deployment", "spec.progressDeadlineSeconds", 0,
         "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"),
        ("Deployment", "spec.revisionHistoryLimit", -1,
         f"spec.revisionHistoryLimit: Invalid value: -1: {NEGATIVE}"),
        ("DaemonSet", "spec.updateStrategy", {"type": "x"},
         'spec.updateStrategy.type: Unsupported value: "x": supported values: "OnDelete", '
         '"RollingUpdate"'),
        ("DaemonSet", "spec.updateStrategy.rollingUpdate", {"maxUnavailable": 0},
         "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when"),
        ("DaemonSet", "spec.updateStrategy.rollingUpdate", {"maxSurge": 1},
         "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when"),
    ],
)  # fmt: skip
def test_workloads(kind: str, path: str, value: Any, expected: str) -> None:
    base = deployment()
    if kind == "DaemonSet":
        del base["spec"]["replicas"]
    base = {**base, "kind": kind}
    (found,) = complaints(kind, changed(base, path, value))
    assert found.startswith(expected)


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_a_selector_stays(kind: str) -> None:
    server = a_server()
    create(server, kind, {**deployment(), "kind": kind})
    value = changed({**deployment(), "kind": kind}, "spec.selector.matchLabels", {"app": "x"})
    value = changed(value, "spec.template.metadata.labels", {"app": "x"})
    with pytest.raises(ApiError) as error:
        server.update(KINDS[kind], "web", value, "default")
    assert error.value.message == (
        f'{kind}.apps "web" is invalid: spec.selector: Invalid value: '
        '{"matchLabels":{"app":"x"}}: field is immutable'
    )


def endpoints(**parts: Any) -> dict[str, Any]:
    endpoint = {"addresses": ["10.42.0.2"], **parts.pop("endpoint", {})}
    value = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [endpoint]}
    return {**value, **parts}


ADDRESS = "endpoints[0].addresses[0]"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"addressType": ""}, "addressType: Required value"),
        ({"addressType": "x"}, 'addressType: Unsupported value: "x": supported values: "FQDN", '
         '"IPv4", "IPv6"'),
        ({"endpoint": {"addresses": []}},
         "endpoints[0].addresses: Required value: must contain at least 1 address"),
        ({"endpoint": {"addresses": ["10.42.0.2"] * 101}},
         "endpoints[0].addresses: Too many: 101: must have at most 100 items"),
        ({"endpoint": {"addresses": ["x"]}}, f'{ADDRESS}: Invalid value: "x": must be a valid IP'),
        ({"endpoint": {"addresses": ["fd00::1"]}},
         f'{ADDRESS}: Invalid value: "fd00::1": must be an IPv4 address'),
        ({"endpoint": {"addresses": ["127.0.0.1"]}},
         f'{ADDRESS}: Invalid value: "127.0.0.1": may not be in the loopback range'),
        ({"endpoint": {"nodeName": "A"}}, 'endpoints[0].nodeName: Invalid value: "A": a lowercase'),
        ({"endpoint": {"hostname": "A"}}, f'endpoints[0].hostname: Invalid value: "A": {LABEL}'),
        ({"endpoint": {"hints": {"forZones": [{"name": "z"}] * 9}}},
         "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"),
        ({"endpoints": [{"addresses": ["10.42.0.2"]}] * 1001},
         "endpoints: Too many: 1001: must have at most 1000 items"),
        ({"ports": [{"port": 0}]}, f"ports[0].port: Invalid value: 0: {PORT}"),
        ({"ports": [{"port": 1}, {"port": 2}]}, 'ports[1].name: Duplicate value: ""'),
        ({"ports": [{"port": 1, "name": "A"}]}, f'ports[0].name: Invalid value: "A": {LABEL}'),
        ({"ports": [{"port": 1, "protocol": "x"}]}, 'ports[0].protocol: Unsupported value: "x"'),
    ],
)  # fmt: skip
def test_slices(parts: Any, expected: str) -> None:
    (found,) = complaints("EndpointSlice", endpoints(**parts))
    assert found.startswith(expected)


def test_the_addresses_of_a_slice_keep_their_type() -> None:
    server = a_server()
    made = create(server, "EndpointSlice", endpoints())
    value = {**made, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]}
    with pytest.raises(ApiError) as error:
        server.update(KINDS["EndpointSlice"], "s", value, "default")
    assert error.value.message == (
        'EndpointSlice.discovery.k8s.io "s" is invalid: addressType: Invalid value: "FQDN": field '
        "is immutable"
    )


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("Node", {"spec": {"taints": [{"key": "a", "effect": "x"}]}},
         'spec.taints[0].effect: Unsupported value: "x"'),
        ("Node", {"spec": {"taints": [{"key": "a"}]}}, "spec.taints[0].effect: Required value"),
        ("Node", {"spec": {"taints": [{"key": "a", "value": v, "effect": "NoSchedule"} for v in
                                      ("1", "2")]}},
         'spec.taints[1]: Duplicate value: {"key":"a","value":"2","effect":"NoSchedule"}'),
        ("Node", {"spec": {"taints": [{"key": "", "effect": "NoSchedule"}]}},
         'spec.taints[0].key: Invalid value: "": name part must be non-empty'),
        ("ConfigMap", {"data": {"a/b": ""}},
         'data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric'),
        ("Namespace", {"metadata": {"name": "a.b"}},
         'metadata.name: Invalid value: "a.b": must not contain dots'),
        ("ConfigMap", {"data": {"a": "é" * (1 << 19)}, "binaryData": {"b": "QQ=="}},
         "[]: Too long: may not be more than 1048576 bytes"),
        ("Endpoints", {"subsets": [{"ports": [{"port": 1}]}]},
         "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
        ("Endpoints", {"subsets": [{"addresses": [None]}]},
         'subsets[0].addresses[0].ip: Invalid value: "": must be a valid IP address'),
        ("Endpoints", {"subsets": [{"notReadyAddresses": [{"ip": "127.0.0.1"}]}]},
         'subsets[0].notReadyAddresses[0].ip: Invalid value: "127.0.0.1": may not be in the loop'),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.42.0.2", "nodeName": "A"}]}]},
         'subsets[0].addresses[0].nodeName: Invalid value: "A": a lowercase'),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.42.0.2", "hostname": "A"}]}]},
         f'subsets[0].addresses[0].hostname: Invalid value: "A": {LABEL}'),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.42.0.2"}], "ports": [{}]}]},
         f"subsets[0].ports[0].port: Invalid value: 0: {PORT}"),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.42.0.2"}],
                                    "ports": [{"port": 1, "name": "a"}, {"port": 2}]}]},
         "subsets[0].ports[1].name: Required value"),
        ("Endpoints", {"subsets": [{"addresses": [{"ip": "10.42.0.2"}],
                                    "ports": [{"port": 1, "protocol": "x"}]}]},
         'subsets[0].ports[0].protocol: Unsupported value: "x"'),
        ("ConfigMap", {"metadata": {}},
         "metadata.name: Required value: name or generateName is required"),
    ],
)  # fmt: skip
def test_the_others(kind: str, value: Any, expected: str) -> None:
    found = complaints(kind, {"metadata": {"name": "x"}, **value})
    assert found[0].startswith(expected)


def test_what_is_immutable_stays() -> None:
    server = a_server()
    create(server, "ConfigMap", {"metadata": {"name": "x"}, "data": {"a": "b"}, "immutable": True})
    with pytest.raises(ApiError) as error:
        server.patch(KINDS["ConfigMap"], "x", {"data": {"a": "c"}}, "default", "merge")
    assert "data: Forbidden: field is immutable when `immutable` is set" in error.value.message
    create(server, "Node", {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.42.0.0/24"]}})
    with pytest.raises(ApiError) as error:
        server.patch(KINDS["Node"], "n", {"spec": {"podCIDRs": None}}, form="merge")
    assert error.value.details["causes"][0]["field"] == "spec.podCIDRs"
    patch = {"spec": {"podCIDR": "10.42.1.0/24"}}
    with pytest.raises(ApiError) as error:
        server.patch(KINDS["Node"], "n", patch, form="merge")
    assert error.value.details["causes"][0]["field"] == "spec.podCIDRs"
