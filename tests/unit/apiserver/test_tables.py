"""Tables as kubectl prints them (semantics §10.1)."""

from __future__ import annotations

from typing import Any

import pytest
from support import deployment, pod, service

from secondhop.apiserver.cells import duration, since, some
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.pod_status import pod_summary
from secondhop.apiserver.printers import PRINTERS
from secondhop.apiserver.tables import table

from .helpers import a_server, create

NOW = 1_800_000_000.0
MADE = {"name": "x", "creationTimestamp": "2027-01-15T07:58:00Z"}
M, H, D = 60, 3600, 86400
Y = 365 * D


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"),
        (120, "2m"), (121, "2m1s"), (599, "9m59s"),
        (600, "10m"), (3 * H - 1, "179m"),
        (3 * H, "3h"), (3 * H + M, "3h1m"), (8 * H - 1, "7h59m"),
        (8 * H, "8h"), (48 * H - 1, "47h"),
        (48 * H, "2d"), (49 * H, "2d1h"), (8 * D - 1, "7d23h"),
        (8 * D, "8d"), (2 * Y - 1, "729d"),
        (2 * Y, "2y"), (2 * Y + D, "2y1d"), (8 * Y - 1, "7y364d"),
        (8 * Y, "8y"), (100 * Y, "100y"),
    ],
)  # fmt: skip
def test_durations(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (None, "<unknown>"), ("", "<unknown>"), ("2027-01-15T08:00:00Z", "0s"),
        ("2027-01-15T07:59:30.123456Z", "30s"), ("2027-01-15T07:55:00Z", "5m"),
    ],
)  # fmt: skip
def test_times(stamp: str | None, text: str) -> None:
    assert since(stamp, NOW) == text


@pytest.mark.parametrize(
    ("texts", "shown"), [("", "-"), ("abc", "a,b,c"), ("abcde", "a,b,c + 2 more...")]
)
def test_long_lists(texts: str, shown: str) -> None:
    assert some(list(texts), "-") == shown


@pytest.mark.parametrize(
    ("kind", "usual", "wide"),
    [
        ("Pod", "Name Ready Status Restarts Age", "IP Node Nominated_Node Readiness_Gates"),
        ("Service", "Name Type Cluster-IP External-IP Port(s) Age", "Selector"),
        ("Node", "Name Status Roles Age Version",
         "Internal-IP External-IP OS-Image Kernel-Version Container-Runtime"),
        ("Deployment", "Name Ready Up-to-date Available Age", "Containers Images Selector"),
        ("ReplicaSet", "Name Desired Current Ready Age", "Containers Images Selector"),
        ("DaemonSet", "Name Desired Current Ready Up-to-date Available Node_Selector Age",
         "Containers Images Selector"),
        ("EndpointSlice", "Name AddressType Ports Endpoints Age", ""),
        ("Endpoints", "Name Endpoints Age", ""),
        ("Event", "Last_Seen Type Reason Object Message",
         "Subobject Source First_Seen Count Name"),
        ("Namespace", "Name Status Age", ""),
    ],
)  # fmt: skip
def test_columns(kind: str, usual: str, wide: str) -> None:
    columns = PRINTERS[kind].columns
    for priority, names in enumerate((usual, wide)):
        found = [each.name.replace(" ", "_") for each in columns if each.priority == priority]
        assert found == names.split()


def test_a_wide_event_has_its_columns_in_their_places() -> None:
    names = [column.name for column in PRINTERS["Event"].columns]
    assert names == ["Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message",
                     "First Seen", "Count", "Name"]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_row_has_a_cell_for_each_column(kind: str) -> None:
    """Even of an object that says next to nothing."""
    value = {"metadata": MADE, "addressType": "IPv4"}
    cells = PRINTERS[kind].cells(value, NOW)
    assert len(cells) == len(PRINTERS[kind].columns)


def cells(kind: str, **parts: Any) -> list[Any]:
    return PRINTERS[kind].cells({"metadata": MADE, **parts}, NOW)


INGRESS = [{"ip": "203.0.113.9"}, {"hostname": "lb.example"}, {"ip": "203.0.113.9"}]


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({}, "<none>"),
        ({"externalIPs": ["203.0.113.1", "203.0.113.2"]}, "203.0.113.1,203.0.113.2"),
        ({"type": "LoadBalancer"}, "<pending>"),
        ({"type": "LoadBalancer", "ingress": INGRESS}, "203.0.113.9,lb.example"),
        ({"type": "LoadBalancer", "ingress": INGRESS, "externalIPs": ["203.0.113.1"]},
         "203.0.113.9,lb.example,203.0.113.1"),
        ({"type": "LoadBalancer", "externalIPs": ["203.0.113.1"]}, "203.0.113.1"),
        ({"type": "ExternalName", "externalName": "a.example"}, "a.example"),
    ],
)  # fmt: skip
def test_external_addresses(spec: dict[str, Any], shown: str) -> None:
    status = {"loadBalancer": {"ingress": spec.pop("ingress", [])}}
    assert cells("Service", spec={"type": "NodePort", **spec}, status=status)[3] == shown


def test_services() -> None:
    ports = [{"port": 80, "nodePort": 30316, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    spec = {"type": "NodePort", "clusterIP": "10.43.0.7", "ports": ports}
    row = cells("Service", spec={**spec, "selector": {"b": "2", "a": "1"}})
    assert row == [
        "x", "NodePort", "10.43.0.7", "<none>", "80:30316/TCP,53/UDP", "2m", "a=1,b=2",
    ]  # fmt: skip
    assert cells("Service", spec={"type": "ExternalName"})[2:5] == ["<none>"] * 3
    assert cells("Service", spec={"clusterIP": "None"})[2] == "None"


def running(**more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}, **more}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return running(ready=False, state={"waiting": {"reason": reason}}, **more)


def ended(**how: Any) -> dict[str, Any]:
    return running(ready=False, state={"terminated": {"exitCode": 0, **how}})


GOING = {"deletionTimestamp": "2027-01-15T08:00:00Z"}
READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("status", "metadata", "reason"),
    [
        ({"phase": "Pending"}, {}, "Pending"),
        ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, {},
         "ContainerCreating"),
        ({"phase": "Pending", "containerStatuses": [waiting("ErrImagePull")]}, {}, "ErrImagePull"),
        ({"phase": "Running", "containerStatuses": [running()]}, {}, "Running"),
        ({"phase": "Running", "containerStatuses": [running(), waiting("CrashLoopBackOff")]}, {},
         "CrashLoopBackOff"),
        ({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}, GOING,
         "Terminating"),
        ({"phase": "Succeeded", "containerStatuses": [ended(reason="Completed")]}, {}, "Completed"),
        ({"phase": "Succeeded", "containerStatuses": [ended(reason="Completed")]}, GOING,
         "Completed"),
        ({"phase": "Failed", "containerStatuses": [ended(reason="Error", exitCode=1)]}, {},
         "Error"),
        ({"phase": "Failed", "containerStatuses": [ended(exitCode=3)]}, {}, "ExitCode:3"),
        ({"phase": "Failed", "containerStatuses": [ended(signal=9)]}, {}, "Signal:9"),
        ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
        ({"phase": "Running", "reason": "NodeLost"}, GOING, "Unknown"),
        ({"phase": "Running", "conditions": [READY],
          "containerStatuses": [ended(reason="Completed"), running()]}, {}, "Running"),
        ({"phase": "Running", "containerStatuses": [ended(reason="Completed"), running()]}, {},
         "NotReady"),
        ({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}, {},
         "SchedulingGated"),
        ({"phase": "Pending", "initContainerStatuses": [ended(), running()]}, {}, "Init:1/2"),
        ({"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing")]}, {},
         "Init:0/2"),
        ({"phase": "Pending", "initContainerStatuses": [waiting("CrashLoopBackOff")]}, {},
         "Init:CrashLoopBackOff"),
        ({"phase": "Pending", "initContainerStatuses": [ended(exitCode=2)]}, {},
         "Init:ExitCode:2"),
        ({"phase": "Pending", "initContainerStatuses": [ended(exitCode=2, reason="Error")]}, {},
         "Init:Error"),
        ({"phase": "Pending", "initContainerStatuses": [ended(exitCode=137, signal=9)]}, {},
         "Init:Signal:9"),
        ({"phase": "Running", "initContainerStatuses": [ended(), ended()],
          "containerStatuses": [running()]}, {}, "Running"),
    ],
)  # fmt: skip
def test_the_state_of_a_pod(status: Any, metadata: Any, reason: str) -> None:
    spec = {"containers": [{"name": "c"}], "initContainers": [{"name": "c"}, {"name": "d"}]}
    assert pod_summary({"metadata": metadata, "spec": spec, "status": status}).reason == reason


def test_a_row_of_a_pod() -> None:
    ended_once = {"terminated": {"finishedAt": "2027-01-15T07:59:50Z", "exitCode": 1}}
    statuses = [running(restartCount=2, lastState=ended_once), waiting("x", restartCount=1)]
    row = cells(
        "Pod",
        spec={
            "nodeName": "n1",
            "containers": [{"name": "c"}, {"name": "d"}],
            "readinessGates": [{"conditionType": "A"}, {"conditionType": "B"}],
        },
        status={
            "phase": "Running",
            "podIP": "10.42.0.2",
            "containerStatuses": statuses,
            "conditions": [{"type": "B", "status": "True"}],
        },
    )
    assert row == ["x", "1/2", "x", "3 (10s ago)", "2m", "10.42.0.2", "n1", "<none>", "1/2"]
    bare = cells("Pod", spec={"containers": [{"name": "c"}]}, status={"phase": "Pending"})
    assert bare == ["x", "0/1", "Pending", "0", "2m", "<none>", "<none>", "<none>", "<none>"]


def test_a_sidecar_counts_as_a_container() -> None:
    status = {
        "phase": "Running",
        "initContainerStatuses": [running(name="s", started=True, restartCount=1), ended()],
        "containerStatuses": [running()],
    }
    init = [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]
    spec = {"containers": [{"name": "c"}], "initContainers": init}
    found = pod_summary({"metadata": {}, "spec": spec, "status": status})
    assert found == (2, 2, "Running", 1, "")


@pytest.mark.parametrize(
    ("conditions", "spec", "shown"),
    [
        ([READY], {}, "Ready"),
        ([{**READY, "status": "False"}], {}, "NotReady"),
        ([{**READY, "status": "Unknown"}], {}, "NotReady"),
        ([], {}, "Unknown"),
        ([READY], {"unschedulable": True}, "Ready,SchedulingDisabled"),
    ],
)
def test_the_state_of_a_node(conditions: Any, spec: Any, shown: str) -> None:
    assert cells("Node", spec=spec, status={"conditions": conditions})[1] == shown


def test_a_row_of_a_node() -> None:
    labels = {"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": "", "x": "y"}
    info = {
        "kubeletVersion": "v1.36.2", "osImage": "Debian", "kernelVersion": "6.18",
        "architecture": "amd64", "containerRuntimeVersion": "x://1",
    }  # fmt: skip
    addresses = [
        {"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "192.168.8.1"},
    ]  # fmt: skip
    row = cells(
        "Node",
        metadata={**MADE, "labels": labels},
        status={"nodeInfo": info, "addresses": addresses, "conditions": [READY]},
    )
    assert row == ["x", "Ready", "a,b", "2m", "v1.36.2", "192.168.8.1", "<none>", "Debian",
                   "6.18 (amd64)", "x://1"]  # fmt: skip


def test_workloads() -> None:
    spec = deployment(replicas=3)["spec"]
    status = {
        "replicas": 4, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2,
        "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3,
        "updatedNumberScheduled": 2, "numberAvailable": 1,
    }  # fmt: skip
    wide = ["whoami", "traefik/whoami", "app=web"]
    for kind, shown in (
        ("Deployment", ["2/3", 1, 2, "2m"]),
        ("ReplicaSet", [3, 4, 2, "2m"]),
        ("DaemonSet", [5, 4, 3, 2, 1, "<none>", "2m"]),
    ):
        assert cells(kind, spec=spec, status=status) == ["x", *shown, *wide]


@pytest.mark.parametrize(
    ("selector", "shown"),
    [
        ({}, "<none>"),
        ({"matchLabels": {"b": "1", "a": "2"}}, "a=2,b=1"),
        ({"matchExpressions": [{"key": "c", "operator": "In", "values": ["y", "x"]},
                               {"key": "b", "operator": "NotIn", "values": ["x"]},
                               {"key": "a", "operator": "Exists"},
                               {"key": "d", "operator": "DoesNotExist"}]},
         "a,b notin (x),c in (x,y),!d"),
    ],
)  # fmt: skip
def test_selectors(selector: Any, shown: str) -> None:
    assert cells("Deployment", spec={"selector": selector})[-1] == shown


def test_endpoints() -> None:
    ports = [{"port": 80}, {"name": "named"}, {}]
    found = [{"addresses": ["10.42.0.2"], "conditions": {"ready": False}}] * 4
    row = cells("EndpointSlice", addressType="IPv4", ports=ports, endpoints=found)
    ips = "10.42.0.2,10.42.0.2,10.42.0.2 + 1 more..."
    assert row == ["x", "IPv4", "80,named,*", ips, "2m"]
    empty = cells("EndpointSlice", addressType="IPv4", endpoints=[])
    assert empty[2:4] == ["<unset>", "<unset>"]
    subsets = [{"addresses": [{"ip": "10.42.0.2"}, {"ip": "fd00::1"}], "ports": [{"port": 80}]}]
    assert cells("Endpoints", subsets=subsets)[1] == "10.42.0.2:80,[fd00::1]:80"
    assert cells("Endpoints")[1] == "<none>"


def test_events() -> None:
    row = cells(
        "Event",
        involvedObject={"kind": "Pod", "name": "a", "fieldPath": "spec.containers{c}"},
        type="Normal",
        reason="Started",
        message=" Started container \n",
        source={"component": "kubelet", "host": "n1"},
        firstTimestamp="2027-01-15T07:59:00Z",
        lastTimestamp="2027-01-15T07:59:50Z",
        count=3,
    )
    assert row == ["10s", "Normal", "Started", "pod/a", "spec.containers{c}", "kubelet, n1",
                   "Started container", "60s", 3, "x"]  # fmt: skip
    new = cells(
        "Event",
        involvedObject={"kind": "Node", "name": "n"},
        eventTime="2027-01-15T07:59:00.000000Z",
        reportingComponent="scheduler",
        series={"count": 5, "lastObservedTime": "2027-01-15T07:59:55.000000Z"},
    )
    assert (new[0], new[3], new[5], new[7], new[8]) == ("5s", "node/n", "scheduler", "60s", 5)


def test_the_table_itself() -> None:
    server = a_server()
    made = create(server, "Service", service())
    whole = table(KINDS["Service"], [made], {"resourceVersion": "7"}, NOW, "Object")
    assert (whole["apiVersion"], whole["kind"]) == ("meta.k8s.io/v1", "Table")
    assert whole["metadata"] == {"resourceVersion": "7"}
    assert whole["columnDefinitions"][0] == {
        "name": "Name", "type": "string", "format": "name", "description": "", "priority": 0,
    }  # fmt: skip
    assert whole["rows"][0]["object"] is made
    assert whole["rows"][0]["cells"][0] == "web"
    create(server, "Pod", pod("a", "n1"))
    pods = server.list(KINDS["Pod"]).items
    (row,) = table(KINDS["Pod"], pods, {}, NOW, "Metadata")["rows"]
    assert row["object"] == {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": pods[0]["metadata"],
    }
    (row,) = table(KINDS["Pod"], pods, {}, NOW, "None")["rows"]
    assert row["object"] is None
