"""Protobuf bodies, written here by hand as Go's encoder writes them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.apiserver.http.protobuf import MAGIC, decode

from .encoding import body, part

METADATA = part(
    1, part(1, "web") + part(2, "") + part(8, b"") + part(11, part(1, "a") + part(2, "b"))
)
LABELLED = {"name": "web", "labels": {"a": "b"}}


def test_what_go_writes_for_nothing_is_left_out_and_pointers_may_be_zero() -> None:
    spec = part(2, part(1, 0) + part(5, 0) + part(7, 0) + part(4, part(1, "")))
    assert decode(body("apps/v1", "Deployment", METADATA, spec, part(3, part(1, 0)))) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": LABELLED,
        "spec": {"replicas": 0},
    }


def test_numbers_or_names_and_lists() -> None:
    ports = (
        part(1, part(3, 80) + part(4, part(1, 0) + part(2, 8080))),
        part(1, part(3, 81) + part(4, part(1, 1) + part(2, 0) + part(3, "http"))),
    )
    spec = part(2, b"".join(ports) + part(5, "192.0.2.1") + part(5, "192.0.2.2"))
    assert decode(body("v1", "Service", METADATA, spec))["spec"] == {
        "ports": [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"}],
        "externalIPs": ["192.0.2.1", "192.0.2.2"],
    }


def test_quantities_fields_of_a_parent_times_and_bytes() -> None:
    limits = part(8, part(1, part(1, "cpu") + part(2, part(1, "100m"))))
    probe = part(11, part(1, part(3, part(1, part(2, 80)))) + part(4, 5))
    seconds = part(9, part(9, part(1, -1)))
    pod = body("v1", "Pod", part(1, seconds[2:]), part(2, part(2, part(1, "c") + limits + probe)))
    value = decode(pod)
    assert value["metadata"] == {"deletionTimestamp": "1969-12-31T23:59:59Z"}
    assert value["spec"]["containers"] == [
        {
            "name": "c",
            "resources": {"limits": {"cpu": "100m"}},
            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5},
        }
    ]
    binary = body("v1", "ConfigMap", part(3, part(1, "k") + part(2, b"\xff")))
    assert decode(binary)["binaryData"] == {"k": "/w=="}


def test_events_of_both_groups_and_exact_times() -> None:
    when = part(1, 1_767_225_600) + part(2, 1_500)
    about = part(1, "Node") + part(3, "gz1")
    own = body("events.k8s.io/v1", "Event", METADATA, part(2, when), part(8, about), part(10, "x"))
    exact = "2026-01-01T00:00:00.000001Z"
    assert decode(own) == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": LABELLED,
        "eventTime": exact,
        "regarding": {"kind": "Node", "name": "gz1"},
        "note": "x",
    }
    core = decode(body("v1", "Event", part(2, about), part(4, "x"), part(7, when), part(10, "")))
    assert core["involvedObject"] == {"kind": "Node", "name": "gz1"}
    assert (core["message"], core["lastTimestamp"]) == ("x", exact[:19] + "Z")
    lease = body("coordination.k8s.io/v1", "Lease", part(2, part(1, "me") + part(4, when)))
    assert decode(lease)["spec"] == {"holderIdentity": "me", "renewTime": exact}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{}", "does not begin"),
        (MAGIC, "no protobuf form of "),
        (body("v1", "Secret"), "no protobuf form of Secret"),
        (body("v1", "Service", part(9, "x")), "its Service has field 9"),
        (body("v1", "Service", part(1, 1)), "a number stands where"),
        (body("v1", "Service", part(2, part(12, "x"))), "a number is not one"),
        (body("v1", "Service", b"\x0d\0\0\0\0"), "wire type 5"),
        (body("v1", "Service", b"\x0a\x05a"), "ends too early"),
        (body("v1", "Service", b"\xff" * 11), "ends inside of a number"),
        (body("v1", "Service", part(1, part(1, b"\xff"))), "utf-8"),
    ],
)
def test_what_cannot_be_read(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decode(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_an_object_or_refused(data: bytes) -> None:
    for kind in "Pod", "Deployment", "DeleteOptions":
        with suppress(ValueError, OverflowError):
            assert decode(MAGIC + part(1, part(2, kind)) + part(2, data))["kind"] == kind
