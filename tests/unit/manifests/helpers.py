"""Short ways to say a manifest, and to see what becomes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import deployment as whoami

from secondhop.errors import ManifestError
from secondhop.manifests import World, build, read_text
from secondhop.manifests.resource import dig

REFERENCE = Path(__file__).parents[2] / "fixtures" / "reference"
Object = dict[str, Any]
At = tuple[str | int, ...]


def service(name: str = "web", **spec: Any) -> Object:
    """A Service; port 80 and selector app=web unless said otherwise."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def deployment(name: str = "web", replicas: int = 1, **pod: Any) -> Object:
    """A Deployment with labels app=NAME; keyword arguments go to the pod's spec."""
    found = whoami(name, replicas)
    found["spec"]["template"]["spec"] |= pod
    return found


def container(**fields: Any) -> Object:
    return {"name": "whoami", "image": "traefik/whoami", **fields}


def pod(name: str = "web-1", **fields: Any) -> Object:
    """A Pod with label app=web; keyword arguments are its metadata, spec, status."""
    metadata = {"name": name, "labels": {"app": "web"}, **fields.pop("metadata", {})}
    spec = {"containers": [container()], **fields.pop("spec", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, **fields}


def node(name: str, address: str, **fields: Any) -> Object:
    labels = fields.pop("labels", {})
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status} | {
        "spec": fields
    }


def slice_of(name: str, *endpoints: Object, **fields: Any) -> Object:
    """An IPv4 EndpointSlice of a Service, with an unnamed port 80."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    } | fields


def lab(**sections: Any) -> Object:
    return {"apiVersion": "secondhop/v1", "kind": "Lab", **sections}


def world(*objects: Object, **options: Any) -> World:
    """What becomes of objects."""
    return build(read_text("\n---\n".join(map(json.dumps, objects)), "test"), **options)


def refusals(*objects: Object) -> list[tuple[str, str]]:
    """(field, message) of every problem of objects that must be refused."""
    with pytest.raises(ManifestError) as caught:
        world(*objects)
    assert all(problem.remedy and problem.where for problem in caught.value.problems)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def complaints(text: str) -> list[str]:
    """`line: field: message` of every problem of a text that must be refused."""
    with pytest.raises(ManifestError) as caught:
        build(read_text(text, "f"))
    found = []
    for problem in caught.value.problems:
        line = problem.where.partition(":")[2]
        found.append(": ".join(part for part in (line, problem.field, problem.message) if part))
    return found


def fields(value: Any, path: At = ()) -> Iterator[At]:
    """Every field of an object, those in lists too."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(value, dict):
            yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from fields(item, (*path, key))


def parents(value: Any) -> Iterator[At]:
    yield ()
    yield from (path for path in fields(value) if isinstance(dig(value, path), dict))
    yield from (
        (*path, n)
        for path in fields(value)
        if isinstance(dig(value, path), list)
        for n in range(len(dig(value, path)))
    )


def moved(value: Object, field: At, parent: At) -> Object:
    changed = copy.deepcopy(value)
    taken = dig(changed, field[:-1]).pop(field[-1])
    dig(changed, parent)[field[-1]] = taken
    return changed
