"""Service rules, inference and allocation against the cases of Kubernetes' own unit tests."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from contextlib import suppress
from functools import cache
from ipaddress import ip_network
from typing import Any

import pytest
from writes import Server

from secondhop.apiserver import server as api_server
from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.store import Store
from secondhop.errors import ApiError
from secondhop.manifests.api.balancer import validate_service_status
from secondhop.manifests.api.default import default_service
from secondhop.manifests.api.field import Gates, Object
from secondhop.manifests.api.service import validate_external_traffic, validate_service
from secondhop.manifests.api.update import cleared, kept
from secondhop.manifests.api.view import View

from .cases import DATA

Case = dict[str, Any]


@cache
def cases() -> tuple[Case, ...]:
    text = gzip.decompress((DATA / "apicases.jsonl.gz").read_bytes()).decode()
    return tuple(map(json.loads, text.splitlines()))


def asking(*kinds: str) -> pytest.MarkDecorator:
    found = [case for case in cases() if case["asks"] in kinds]
    return pytest.mark.parametrize("case", found, ids=lambda case: str(case["id"]))


def gates(case: Case) -> Gates:
    on = case["gates"]
    return Gates("loose" not in on, "relaxed" in on, "zones" in on)


@asking("rules", "policy", "status")
def test_as_many_refusals(case: Case) -> None:
    new, old = case["new"], case["old"]
    if case["asks"] == "policy":
        found = validate_external_traffic(new)
    elif case["asks"] == "status":
        found = validate_service_status(new, old, gates=gates(case))
    else:
        found = validate_service(new, old, gates=gates(case))
    assert len(found) == case["expect"], [str(error) for error in found]


@asking("clear")
def test_fields_that_a_change_of_type_clears(case: Case) -> None:
    assert cleared(case["new"], case["old"]) == case["expect"]


@asking("keep")
def test_allocated_values_that_a_write_may_leave_out(case: Case) -> None:
    new, old = View(kept(case["new"], case["old"])), View(case["old"])
    same = [
        (new.ip, new.ips) == (old.ip, old.ips),
        new.node_ports() == old.node_ports(),
        new.health_port == old.health_port,
    ]
    assert same == case["expect"]


@asking("ports", "walk")
def test_writes(case: Case) -> None:
    """Each write's outcome, and nothing is left allocated once the Service is deleted. These
    objects come to the original without defaulting, and so they do here."""
    server, stored = Server(), None
    for new, expected in case["steps"]:
        answer, errors = server.update(new, stored) if stored else server.create(new)
        seen = None if answer is None else what_it_has(answer)
        if case["asks"] == "ports" and seen is not None:
            seen = seen.replace("i", "")
        assert seen == expected, [str(error) for error in errors]
        stored = answer or stored
        ports, ips = (set(), set()) if stored is None else allocated_to(stored)
        assert server.in_use() == (ports, ips)
    if stored:
        server.allocator.delete(stored)
    assert server.in_use() == (set(), set())


@asking("ports", "walk")
def test_writes_through_the_whole_server(case: Case) -> None:
    """The same with all that a request goes through. Where defaults mend what the original's bare
    object lacks, it is not refused."""
    api = api_server.Server(Store(), [ip_network("10.0.0.0/16"), ip_network("2000::/108")])
    namespace = case["steps"][0][0]["metadata"].get("namespace") or "default"
    api.create(KINDS["Namespace"], {"metadata": {"name": namespace}})
    kind, stored = KINDS["Service"], None
    for new, expected in case["steps"]:
        metadata = {key: new["metadata"][key] for key in ("name", "namespace")}
        new = {**new, "metadata": metadata}
        seen = None
        with suppress(ApiError):
            if stored:
                stored = api.update(kind, metadata["name"], new, namespace).object
            else:
                stored = api.create(kind, new, namespace).object
            seen = what_it_has(stored)
        if case["asks"] == "ports" and seen is not None:
            seen = seen.replace("i", "")
        assert seen == expected or (expected is None and default_service(new) != new)


def what_it_has(service: Object) -> str:
    view = View(service)
    assert view.ip == (view.ips[0] if view.ips else "")
    if view.ips and not view.headless:
        assert [f"IPv{6 if ':' in ip else 4}" for ip in view.ips] == view.families
    numbers = view.node_ports()
    assert len(numbers) in (0, len(view.ports))
    letters = {
        "i": bool(view.ips) and not view.headless,
        "h": view.headless,
        "n": bool(numbers),
        "c": bool(view.health_port),
    }
    return "".join(letter for letter, has in letters.items() if has)


def allocated_to(service: Object) -> tuple[set[int], set[str]]:
    view = View(service)
    ports = {*view.node_ports(), view.health_port} - {0}
    return ports, set() if view.headless else set(view.ips)


def test_nothing_is_left_out() -> None:
    assert [case["id"] for case in cases()] == list(range(445))
    asked = Counter(case["asks"] for case in cases())
    assert asked == Counter(rules=269, policy=10, status=11, keep=8, ports=26, walk=90, clear=31)
