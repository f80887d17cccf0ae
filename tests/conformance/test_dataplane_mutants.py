"""Wrong readings of single rules in either mode, each contradicted by some packet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from secondhop.dataplane import node_ports, selected
from secondhop.dataplane.iptables import layout, portals, service_chains
from secondhop.dataplane.iptables.ruleset import Draft
from secondhop.dataplane.nftables import layout as nft_layout
from secondhop.dataplane.nftables import portals as nft_portals
from secondhop.dataplane.nftables import service_chains as nft_chains
from secondhop.dataplane.nftables.ruleset import Chain
from secondhop.dataplane.selected import Selected
from secondhop.dataplane.setting import Setting
from secondhop.model.cluster import Endpoint, Node, Proxy, ProxyMode

from .dataplane import MODES, all_contradictions

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


# --- what both modes read -----------------------------------------------------------------------


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
    for module in service_chains, nft_chains:
        external = module._external

        def bound(
            draft: Any, selected: Selected, setting: Setting, external: Any = external
        ) -> None:
            external(draft, selected, replace(setting, pods=None))

        patch.setattr(module, "_external", bound)


def node_port_addresses_are_ignored(patch: Patch) -> None:
    patch.setattr(node_ports, "accepted_ranges", lambda *args: ())


def source_ranges_guard_nothing(patch: Patch) -> None:
    patch.setattr(Selected, "source_ranges", property(lambda self: ()))


def a_proxied_load_balancer_is_captured(patch: Patch) -> None:
    def every(self: Selected) -> Any:
        return tuple(i.ip for i in self.service.ingress if i.ip.version == self.family)

    patch.setattr(Selected, "load_balancer_ips", property(every))


def external_ips_are_not_captured(patch: Patch) -> None:
    patch.setattr(Selected, "external_ips", property(lambda self: ()))


def masquerade_all_is_ignored(patch: Patch) -> None:
    for module in layout, nft_layout:

        def some(*args: Any, setting: Any = module.setting) -> Setting:
            found: Setting = setting(*args)
            return replace(found, masquerade_all=False)

        patch.setattr(module, "setting", some)


SHARED: list[Mutant] = [
    hints_are_ignored,
    terminating_pods_never_serve,
    topology_narrows_terminating_pods_too,
    internal_policy_is_ignored,
    external_policy_is_ignored,
    local_policy_binds_pods_too,
    node_port_addresses_are_ignored,
    source_ranges_guard_nothing,
    a_proxied_load_balancer_is_captured,
    external_ips_are_not_captured,
    masquerade_all_is_ignored,
]


# --- iptables -----------------------------------------------------------------------------------


def localhost_answers_whatever_is_configured(patch: Patch) -> None:
    for module in node_ports, layout:
        patch.setattr(module, "localhost_node_ports", lambda *args: True)


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


def a_drop_is_a_reject(patch: Patch) -> None:
    refusal = portals._refusal

    def rejected(selected: Selected, chosen: tuple[Endpoint, ...]) -> Any:
        found = refusal(selected, chosen)
        return found and (found[0], "REJECT")

    patch.setattr(portals, "_refusal", rejected)


def health_checks_are_not_let_in(patch: Patch) -> None:
    patch.setattr(Selected, "health_check_port", property(lambda self: 0))


IPTABLES: list[Mutant] = [
    localhost_answers_whatever_is_configured,
    strangers_are_masqueraded_in_the_clusters_chain_only,
    a_pod_given_to_itself_is_not_masqueraded,
    a_drop_is_a_reject,
    health_checks_are_not_let_in,
]


# --- nftables -----------------------------------------------------------------------------------


def without_rules(patch: Patch, module: Any, name: str, word: str) -> None:
    """A writer of rules that leaves out those with this word."""
    writes = getattr(module, name)
    patch.setattr(module, name, lambda *args: [r for r in writes(*args) if word not in r])


def node_ports_answer_everywhere_by_default(patch: Patch) -> None:
    ranges = node_ports.accepted_ranges

    def as_iptables(proxy: Proxy, *args: Any) -> Any:
        return ranges(replace(proxy, mode="iptables"), *args)

    patch.setattr(node_ports, "accepted_ranges", as_iptables)


def nobody_hairpins(patch: Patch) -> None:
    without_rules(patch, nft_layout, "_masquerading", "hairpin")


def the_mark_is_never_read(patch: Patch) -> None:
    without_rules(patch, nft_layout, "_masquerading", "mark")


def unknown_ports_of_a_cluster_ip_pass(patch: Patch) -> None:
    without_rules(patch, nft_layout, "_unserved", "reject")


def unallocated_cluster_ips_pass(patch: Patch) -> None:
    without_rules(patch, nft_layout, "_unserved", "drop")


def refused_is_told_as_dropped(patch: Patch) -> None:
    patch.setattr(nft_portals, "REJECT", "drop-chain")
    patch.setitem(nft_layout._CHAINS, "drop-chain", Chain(("drop",)))


def a_node_without_endpoints_rejects(patch: Patch) -> None:
    refuse = nft_portals._refuse

    def rejected(draft: Any, selected: Selected, name: str, key: str, chosen: Any) -> None:
        refuse(draft, replace(selected, anywhere=bool(chosen)), name, key, chosen)

    patch.setattr(nft_portals, "_refuse", rejected)


NFTABLES: list[Mutant] = [
    node_ports_answer_everywhere_by_default,
    nobody_hairpins,
    the_mark_is_never_read,
    unknown_ports_of_a_cluster_ip_pass,
    unallocated_cluster_ips_pass,
    refused_is_told_as_dropped,
    a_node_without_endpoints_rejects,
]

CASES: list[tuple[ProxyMode, Mutant]] = [
    *((mode, mutant) for mode in MODES for mutant in SHARED),
    *(("iptables", mutant) for mutant in IPTABLES),
    *(("nftables", mutant) for mutant in NFTABLES),
]


@pytest.mark.parametrize(("mode", "mutant"), CASES, ids=lambda one: getattr(one, "__name__", one))
def test_some_packet_contradicts_a_wrong_reading(
    mode: ProxyMode, mutant: Mutant, monkeypatch: Patch
) -> None:
    mutant(monkeypatch)
    assert any(all_contradictions(mode))


@pytest.mark.parametrize("mode", MODES)
def test_none_says_anything_against_the_right_one(mode: ProxyMode) -> None:
    assert not any(all_contradictions(mode))
