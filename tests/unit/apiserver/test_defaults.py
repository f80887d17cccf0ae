"""What the server fills in (values as a real server's `get -o yaml` shows them)."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, pod

from secondhop.apiserver.kinds import KINDS
from secondhop.errors import ApiError

from .helpers import a_server, create


def container(**given: Any) -> dict[str, Any]:
    value = pod("a", "n1")
    value["spec"]["containers"][0] |= given
    found: dict[str, Any] = create(a_server(), "Pod", value)["spec"]["containers"][0]
    return found


def test_a_pod() -> None:
    value = pod("a", "n1")
    value["spec"]["tolerations"] = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
    made = create(a_server(), "Pod", value)
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"] == {
        "containers": [
            {
                "name": "whoami",
                "image": "traefik/whoami",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "nodeName": "n1",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "tolerationSeconds": 300,
            },
        ],
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("whoami", "Always"),
        ("whoami:latest", "Always"),
        ("whoami:v1", "IfNotPresent"),
        ("registry.example:5000/whoami", "Always"),
        ("registry.example:5000/whoami:v1", "IfNotPresent"),
        ("whoami@sha256:0", "IfNotPresent"),
        ("whoami:v1@sha256:0", "IfNotPresent"),
    ],
)
def test_images(image: str, policy: str) -> None:
    assert container(image=image)["imagePullPolicy"] == policy


def test_probes_and_hooks() -> None:
    found = container(
        readinessProbe={"httpGet": {"port": 80}},
        livenessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 3},
        lifecycle={"preStop": {"httpGet": {"port": "http"}}},
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    )
    usual = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
    get = {"path": "/", "port": 80, "scheme": "HTTP"}
    assert found["readinessProbe"] == {**usual, "httpGet": get}
    assert found["livenessProbe"] == {**usual, "periodSeconds": 3, "tcpSocket": {"port": 80}}
    assert found["lifecycle"]["preStop"]["httpGet"] == {**get, "port": "http"}
    reference = {"apiVersion": "v1", "fieldPath": "status.podIP"}
    assert found["env"] == [{"name": "A", "valueFrom": {"fieldRef": reference}}]


def test_ports() -> None:
    assert container(ports=[{"containerPort": 80}])["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]
    value = pod("a", "n1")
    value["spec"] |= {"hostNetwork": True}
    value["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    made = create(a_server(), "Pod", value)["spec"]["containers"][0]["ports"]
    assert made == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
         "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)  # fmt: skip
def test_quality_of_service(resources: Any, quality: str) -> None:
    value = pod("a", "n1")
    value["spec"]["containers"][0]["resources"] = resources
    assert create(a_server(), "Pod", value)["status"]["qosClass"] == quality


def test_a_deployment() -> None:
    value = deployment()
    del value["spec"]["replicas"]
    spec = create(a_server(), "Deployment", value)["spec"]
    template = spec.pop("template")["spec"]
    assert spec == {
        "progressDeadlineSeconds": 600,
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            "type": "RollingUpdate",
        },
    }
    assert (template["restartPolicy"], template["schedulerName"]) == ("Always", "default-scheduler")
    assert "tolerations" not in template


def test_strategies() -> None:
    value = deployment()
    value["spec"]["strategy"] = {"type": "Recreate"}
    assert create(a_server(), "Deployment", value)["spec"]["strategy"] == {"type": "Recreate"}
    value["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0}}
    rolling = create(a_server(), "Deployment", value)["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": "25%"}
    daemons = {**deployment(), "kind": "DaemonSet"}
    del daemons["spec"]["replicas"]
    made = create(a_server(), "DaemonSet", daemons)
    assert made["spec"]["updateStrategy"] == {
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        "type": "RollingUpdate",
    }
    assert made["status"]["desiredNumberScheduled"] == 0


def test_the_others() -> None:
    server = a_server()
    space = create(server, "Namespace", {"metadata": {"name": "x"}})
    assert space["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert (space["spec"], space["status"]) == (
        {"finalizers": ["kubernetes"]},
        {"phase": "Active"},
    )
    ports = [{"port": 80}]
    slice_ = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [], "ports": ports}
    assert create(server, "EndpointSlice", slice_)["ports"] == [
        {"name": "", "port": 80, "protocol": "TCP"}
    ]
    subset = {"addresses": [{"ip": "10.42.0.2"}], "ports": ports}
    made = create(server, "Endpoints", {"metadata": {"name": "e"}, "subsets": [subset]})
    assert made["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_defaulting_what_was_defaulted_changes_nothing(kind: str) -> None:
    server = a_server()
    value: dict[str, Any] = {**deployment(), "apiVersion": KINDS[kind].api_version, "kind": kind}
    value["metadata"]["name"] = "x"
    if kind in ("Pod", "Node"):
        value["spec"] = pod("a", "n1")["spec"] if kind == "Pod" else {}
    elif kind == "Service":
        value["spec"] = {"ports": [{"port": 80}]}
    elif kind == "EndpointSlice":
        value["addressType"] = "IPv4"
    try:
        made = create(server, kind, value)
    except ApiError as error:
        pytest.fail(str(error))
    place = made["metadata"].get("namespace", "")
    assert server.update(KINDS[kind], "x", made, place).object is made
