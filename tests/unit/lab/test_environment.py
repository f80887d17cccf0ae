"""A container's environment as its pod says it."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from secondhop.lab.environment import Unresolved, commanded, environment

POD: dict[str, Any] = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web"},
        "annotations": {"a/b": "c"},
    },
    "spec": {"nodeName": "gz1"},
}
ADDRESSES = {
    "pod": (ip_address("10.42.0.2"), ip_address("fd00:10:42::2")),
    "host": (ip_address("192.168.8.1"), ip_address("fd00:192:168:8::1")),
}
CONFIG = {"colour": "red", "size": "9"}


def resolved(spec: Mapping[str, Any]) -> dict[str, str]:
    async def config_map(name: str) -> Mapping[str, str] | None:
        return CONFIG if name == "config" else None

    return asyncio.run(environment(POD, spec, ADDRESSES, config_map))


def of(entry: dict[str, Any]) -> str | None:
    return resolved({"env": [{"name": "X", **entry}]}).get("X")


def field(path: str) -> dict[str, Any]:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def key(name: str, of: str, **more: Any) -> dict[str, Any]:
    return {"valueFrom": {"configMapKeyRef": {"name": of, "key": name, **more}}}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ({"value": "plain"}, "plain"),
        ({}, ""),
        (field("metadata.name"), "web-0"),
        (field("metadata.namespace"), "shop"),
        (field("metadata.uid"), "u1"),
        (field("metadata.labels['app']"), "web"),
        (field("metadata.annotations['a/b']"), "c"),
        (field("metadata.labels['none']"), ""),
        (field("spec.nodeName"), "gz1"),
        (field("status.podIP"), "10.42.0.2"),
        (field("status.hostIP"), "192.168.8.1"),
        (field("status.podIPs"), "10.42.0.2,fd00:10:42::2"),
        (field("status.hostIPs"), "192.168.8.1,fd00:192:168:8::1"),
        (key("colour", "config"), "red"),
        (key("none", "config", optional=True), None),
        (key("none", "none", optional=True), None),
    ],
)
def test_values(entry: dict[str, Any], value: str | None) -> None:
    assert of(entry) == value


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (key("none", "config"), 'configmap "config" has no key none'),
        (key("none", "none"), 'configmap "none" not found'),
        (field("status.phase"), "unsupported fieldPath: status.phase"),
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, "secretKeyRef"),
    ],
)
def test_what_cannot_be_made_is_told(entry: dict[str, Any], why: str) -> None:
    with pytest.raises(Unresolved, match=why.replace("(", r"\(")):
        of(entry)


def test_a_whole_config_map_with_a_prefix() -> None:
    found = resolved({"envFrom": [{"prefix": "C_", "configMapRef": {"name": "config"}}]})
    assert found == {"C_colour": "red", "C_size": "9"}


def test_references_to_earlier_variables() -> None:
    entries = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2 $(NONE) $$(A) $A"},
    ]
    assert resolved({"env": entries})["B"] == "12 $(NONE) $(A) $A"


def test_a_command_line_is_expanded() -> None:
    assert commanded(["echo", "$(A)", "$(B)"], {"A": "1"}) == ["echo", "1", "$(B)"]
