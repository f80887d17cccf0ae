"""The reference experiment: in the package and on disk, one and the same."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from secondhop.manifests import build, read_files, reference_documents, reference_lab

from .helpers import REFERENCE


def test_the_package_and_the_file_say_the_same() -> None:
    on_disk = [document.object for document in read_files([str(REFERENCE / "good.yaml")])]
    in_package = [document.object for document in reference_documents()]
    assert in_package == [*on_disk, reference_lab().object]


def test_the_reference_world() -> None:
    world = build(reference_documents())
    (pod,) = world.cluster.pods
    (service,) = world.cluster.services
    assert (pod.node, pod.addresses) == ("xjp1", (ip_address("10.42.1.2"),))
    assert pod.name == "traffic-test-zbvz92pv97-klzhz"
    assert [port.node_port for port in service.ports] == [30316]
    assert [str(e) for found in world.cluster.endpoints.values() for e in found] == ["10.42.1.2:80"]
    assert [str(i) for i in world.cluster.client] == ["192.168.22.2/24"]
    assert world.lab.node_grace_seconds == 50


def test_without_a_lab_document_the_reference_lab_is_assumed_and_said() -> None:
    alone = build(read_files([str(REFERENCE / "good.yaml")]))
    with_lab = build(reference_documents())
    assert replace(alone.cluster, workloads=with_lab.cluster.workloads) == with_lab.cluster
    assert [w.placed for w in (*alone.cluster.workloads, *with_lab.cluster.workloads)] == [0, 1]
    assert alone.notes == (
        "nodes gz1, xjp1: no nodes in the input, the reference Lab's are assumed",
        "client 192.168.22.2: no Lab document says where the client is",
        "Deployment default/traffic-test: its pods are not in the input, so they are derived;"
        " where they are placed is an example",
    )
