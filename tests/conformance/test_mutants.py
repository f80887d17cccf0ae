"""Ten wrong readings of single rules, each of which the recordings must contradict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from secondhop.model.cluster import Node
from secondhop.predict import endpoints, services
from secondhop.predict.endpoints import Listed, Usable
from secondhop.predict.routing import Exit, Routes
from secondhop.predict.services import Target
from secondhop.predict.verdict import Action, KubeProxy, Packet, Verdict

from .compare import all_contradictions

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


def local_policy_binds_pods_and_the_node_too(patch: Patch) -> None:
    """No short-circuit: the node's own connections are outsiders as well."""
    outside = KubeProxy._outside

    def bound(self: KubeProxy, node: Node, packet: Packet, *rest: Any) -> Verdict:
        stranger = type(packet.source)(packet.source.max_prefixlen)
        return outside(self, node, replace(packet, source=stranger), *rest)

    patch.setattr(KubeProxy, "_outside", bound)


def a_drop_is_a_reject(patch: Patch) -> None:
    no_local = KubeProxy._no_local
    patch.setattr(
        KubeProxy,
        "_no_local",
        lambda *args: replace(no_local(*args), action=Action.REJECT),
    )


def terminating_pods_never_serve(patch: Patch) -> None:
    usable = endpoints.usable

    def without(given: Listed, node: Node, **lists: bool) -> Usable:
        return usable(Listed(e for e in given.endpoints if not e.terminating), node, **lists)

    patch.setattr(services, "usable", without)


def hints_are_ignored(patch: Patch) -> None:
    patch.setattr(endpoints, "hinted", lambda listed, node: listed.ready)


def hints_restrict_although_one_pod_has_none(patch: Patch) -> None:
    hinted = endpoints.hinted
    patch.setattr(
        endpoints,
        "hinted",
        lambda listed, node: (
            hinted(Listed(e for e in listed.ready if e.zone_hints), node) or listed.ready
        ),
    )


def masquerade_writes_the_node_address(patch: Patch) -> None:
    """As folklore has it: "the source becomes the node's IP"."""
    patch.setattr(
        Routes,
        "way_to",
        lambda self, node, pod_host, ip: Exit("its NIC", node.address(ip.version)),
    )


def flannel_masquerades_nothing(patch: Patch) -> None:
    patch.setattr(Routes, "flannel_masquerades", lambda *args: False)


def source_ranges_guard_nothing(patch: Patch) -> None:
    patch.setattr(Target, "admits", lambda *args: True)


def a_pod_given_to_itself_is_not_masqueraded(patch: Patch) -> None:
    patch.setattr(KubeProxy, "hairpin", lambda *args: False)


def node_ports_answer_on_every_address(patch: Patch) -> None:
    patch.setattr(KubeProxy, "answers_node_ports", lambda *args: True)


MUTANTS: list[Mutant] = [
    local_policy_binds_pods_and_the_node_too,
    a_drop_is_a_reject,
    terminating_pods_never_serve,
    hints_are_ignored,
    hints_restrict_although_one_pod_has_none,
    masquerade_writes_the_node_address,
    flannel_masquerades_nothing,
    source_ranges_guard_nothing,
    a_pod_given_to_itself_is_not_masqueraded,
    node_ports_answer_on_every_address,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_recordings_contradict_a_wrong_reading(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert all_contradictions()


def test_they_say_nothing_against_the_right_one() -> None:
    assert all_contradictions() == []
