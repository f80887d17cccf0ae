"""What a paste says of a cluster beside its Services: as a snapshot would find it, if it can."""

from __future__ import annotations

from typing import Any

import pytest
from standin import Object, cluster

from secondhop.cli.pasted import with_pasted
from secondhop.errors import UsageError
from secondhop.live.pasted import pasted
from secondhop.manifests import Document
from secondhop.manifests.read import Source
from secondhop.model.version import NEWEST, KubeVersion

PASTE = Source("-", "")
OF_NODES = KubeVersion(1, 33)
K3S = {"k3s.io/node-args": '["server","--kube-proxy-arg","proxy-mode=nftables"]'}
HOST_GW = {"flannel.alpha.coreos.com/backend-type": "host-gw"}


def documents(*objects: Object) -> list[Document]:
    return [Document(one, PASTE, start=0) for one in objects]


def annotated(**notes: str) -> list[Document]:
    objects = cluster()
    for one in objects:
        if one["kind"] == "Node":
            one["metadata"]["annotations"] = notes
    return documents(*objects)


def owned(name: str, *arguments: str) -> Object:
    """A pod of a DaemonSet."""
    owner = {"kind": "DaemonSet", "name": name}
    metadata = {"name": f"{name}-x", "namespace": "kube-system", "ownerReferences": [owner]}
    container = {"name": name, "image": name, "args": [*arguments]}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("notes", "pods", "lab"),
    [
        (K3S, [], {"proxy": {"mode": "nftables"}}),
        (HOST_GW, [], {"network": {"backend": "host-gw"}}),
        (
            HOST_GW,
            [owned("kube-proxy", "--proxy-mode=nftables")],
            {"network": {"backend": "host-gw"}, "proxy": {"mode": "nftables"}},
        ),
        ({}, [owned("kindnet")], {"network": {"backend": "host-gw"}}),
        ({}, [], {}),
    ],
)
def test_nodes_and_pods_tell(
    notes: dict[str, str], pods: list[Object], lab: dict[str, Any]
) -> None:
    found = pasted([*annotated(**notes), *documents(*pods)], OF_NODES)
    assert found is not None
    assert found.lab == lab
    assert {one.what for one in found.inferences} == {"proxy mode", "pod network"}


def test_what_serves_in_the_place_of_kube_proxy_is_no_kube_proxy() -> None:
    paste = [*annotated(), *documents(owned("cilium"))]
    with pytest.raises(UsageError, match="no verdict for proxy mode cilium"):
        with_pasted(paste, NEWEST, None)
    assert with_pasted(paste, NEWEST, "iptables")[1]


def test_what_the_user_says_goes_first() -> None:
    lab = {"apiVersion": "secondhop/v1", "kind": "Lab", "proxy": {"mode": "iptables"}}
    found, _ = with_pasted([*annotated(**K3S, **HOST_GW), *documents(lab)], NEWEST, None)
    (told,) = (one.object for one in found if one.object["kind"] == "Lab")
    assert told == lab | {"network": {"backend": "host-gw"}}


def test_nodes_of_another_release_are_a_doubt() -> None:
    found = pasted(annotated(), NEWEST)
    assert found is not None
    assert "nodes run v1.33.1; --kube-version says" in found.inferences[-1].doubt


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "Node", "metadata": {"name": "a"}},
        {"kind": "Node"},
        {"kind": "Node", "metadata": None, "status": 3},
        {"kind": "Pod", "metadata": []},
        {},
    ],
)
def test_what_is_no_running_cluster_says_nothing(value: Object) -> None:
    assert pasted(documents(value), NEWEST) is None
    found = pasted([*annotated(), *documents(value)], OF_NODES)
    assert found is not None
    assert found.lab == {}
