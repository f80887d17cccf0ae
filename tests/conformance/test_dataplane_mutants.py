"""Wrong readings of single rules in the iptables mode, each contradicted by some packet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from secondhop.dataplane import iptables, node_ports, portals, selected, service_chains
from secondhop.dataplane.ruleset import Draft
from secondhop.dataplane.selected import Selected
from secondhop.dataplane.service_chains import Setting
from secondhop.model.cluster import Endpoint, Node

from .dataplane import all_contradictions

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


def hints_are_ignored(patch: Patch) -> None:
    patch.setattr(selected, "_near", lambda ready, node: ready)


def terminating_pods_never_serve(patch: Patch) -> None:
    usable = selected._usable

    def without(every: Sequence[Endpoint], node: Node) -> Any:
        return usable([e for e in every if not e.terminating], node)

    patch.setattr(selected, "_usable", without)


def topology_narrows_terminating_pods_too(patch: Patch) -> None:
    usable, near = selected._usable, selected._near

    def narrowed(every: Sequence[Endpoint], node: Node) -> Any:
        cluster, local, anywhere = usable(every, node)
        return tuple(near(cluster, node)), tuple(near(local, node)), anywhere

    patch.setattr(selected, "_usable", narrowed)


def internal_policy_is_ignored(patch: Patch) -> None:
    patch.setattr(Selected, "internal_local", property(lambda self: False))


def external_policy_is_ignored(patch: Patch) -> None:
    patch.setattr(Selected, "external_local", property(lambda self: False))


def local_policy_binds_pods_too(patch: Patch) -> None:
    external = service_chains._external

    def bound(draft: Draft, selected: Selected, setting: Setting) -> None:
        external(draft, selected, replace(setting, pods=None))

    patch.setattr(service_chains, "_external", bound)


def node_port_addresses_are_ignored(patch: Patch) -> None:
    patch.setattr(node_ports, "accepted_ranges", lambda *args: ())


def localhost_answers_whatever_is_configured(patch: Patch) -> None:
    for module in node_ports, iptables:
        patch.setattr(module, "localhost_node_ports", lambda *args: True)


def masquerade_all_is_ignored(patch: Patch) -> None:
    inside = service_chains._masquerade_inside

    def some(draft: Draft, selected: Selected, setting: Setting) -> None:
        inside(draft, selected, replace(setting, masquerade_all=False))

    patch.setattr(service_chains, "_masquerade_inside", some)


def strangers_are_masqueraded_in_the_clusters_chain_only(patch: Patch) -> None:
    """The mark stands in KUBE-SVC even where the cluster IP leads to KUBE-SVL."""
    patch.setattr(
        service_chains,
        "internal_chain",
        lambda selected: service_chains.chain_name("SVC", selected),
    )


def a_pod_given_to_itself_is_not_masqueraded(patch: Patch) -> None:
    endpoint = service_chains._endpoint

    def plain(draft: Draft, selected: Selected, to: Endpoint) -> None:
        scratch = Draft({})
        endpoint(scratch, selected, to)
        for chain, (_, translate) in scratch.finished()["nat"].items():
            draft.add("nat", chain, translate)

    patch.setattr(service_chains, "_endpoint", plain)


def source_ranges_guard_nothing(patch: Patch) -> None:
    patch.setattr(Selected, "source_ranges", property(lambda self: ()))


def a_proxied_load_balancer_is_captured(patch: Patch) -> None:
    def every(self: Selected) -> Any:
        return tuple(i.ip for i in self.service.ingress if i.ip.version == self.family)

    patch.setattr(Selected, "load_balancer_ips", property(every))


def external_ips_are_not_captured(patch: Patch) -> None:
    patch.setattr(Selected, "external_ips", property(lambda self: ()))


def a_drop_is_a_reject(patch: Patch) -> None:
    refusal = portals._refusal

    def rejected(selected: Selected, chosen: tuple[Endpoint, ...]) -> Any:
        found = refusal(selected, chosen)
        return found and (found[0], "REJECT")

    patch.setattr(portals, "_refusal", rejected)


def health_checks_are_not_let_in(patch: Patch) -> None:
    patch.setattr(Selected, "health_check_port", property(lambda self: 0))


MUTANTS: list[Mutant] = [
    hints_are_ignored,
    terminating_pods_never_serve,
    topology_narrows_terminating_pods_too,
    internal_policy_is_ignored,
    external_policy_is_ignored,
    local_policy_binds_pods_too,
    node_port_addresses_are_ignored,
    localhost_answers_whatever_is_configured,
    masquerade_all_is_ignored,
    strangers_are_masqueraded_in_the_clusters_chain_only,
    a_pod_given_to_itself_is_not_masqueraded,
    source_ranges_guard_nothing,
    a_proxied_load_balancer_is_captured,
    external_ips_are_not_captured,
    a_drop_is_a_reject,
    health_checks_are_not_let_in,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_some_packet_contradicts_a_wrong_reading(mutant: Mutant, monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    assert any(all_contradictions())


def test_none_says_anything_against_the_right_one() -> None:
    assert not any(all_contradictions())
