"""Workloads as the lab can play them: whoami in the place of programs that it does not have."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ..lab.workloads import IMAGE, runs_whoami

Object: TypeAlias = dict[str, Any]

_PLAYED = ("httpGet", "tcpSocket")


def played(value: Object, port: int, pause: float) -> Object:
    """A workload or pod whose containers all answer as whoami. Readiness probes by HTTP and TCP
    stay. port: on which somebody is to listen if no container names any. pause: seconds that a
    preStop hook is known to sleep."""
    found = copy.deepcopy(value)
    spec = found["spec"] if found["kind"] == "Pod" else found["spec"]["template"]["spec"]
    containers = spec["containers"]
    if all(_is_whoami(each) for each in containers):
        return found
    taken = {80} if any(_is_whoami(each) for each in containers) else set()
    spec["containers"] = [one for each in containers for one in _stand_ins(each, taken)]
    if not spec["containers"]:
        spec["containers"] = [_listening({}, containers[0]["name"], port)]
    if pause:
        spec["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": math.ceil(pause)}}}
    for gone in ("initContainers", "volumes", "imagePullSecrets"):
        spec.pop(gone, None)
    return found


def _is_whoami(container: Mapping[str, Any]) -> bool:
    return runs_whoami(container.get("image") or "", container.get("command") or [])


def _stand_ins(container: Mapping[str, Any], taken: set[int]) -> Iterator[Object]:
    """One for each TCP port that a container names; itself, if it is whoami."""
    if _is_whoami(container):
        yield dict(container)
        return
    named = [
        port["containerPort"]
        for port in container.get("ports") or []
        if port.get("protocol", "TCP") == "TCP"
    ]
    for number, port in enumerate(port for port in named if port not in taken):
        taken.add(port)
        name = container["name"]
        yield _listening(
            container if not number else {}, f"{name}-{port}" if number else name, port
        )


def _listening(container: Mapping[str, Any], name: str, port: int) -> Object:
    found: Object = {"name": name, "image": IMAGE, "args": ["-port", str(port)]}
    if container.get("ports"):
        found["ports"] = container["ports"]
    probe = container.get("readinessProbe") or {}
    if any(kind in probe for kind in _PLAYED):
        found["readinessProbe"] = probe
    return found
