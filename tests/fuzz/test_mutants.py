"""A single wrong rule in the kernel is caught by the packets of a small fixed cluster."""

from typing import Any

import pytest

from secondhop.dataplane import node as dataplane
from secondhop.model.cluster import ProxyMode

from .mutants import MUTANTS, Mutant, few
from .play import played


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.name} {mutant.mode}")
def test_a_wrong_rule_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded in the place of the right one on every node."""
    right = dataplane.rules
    cluster = few(mutant.mode)

    def wrong(*args: Any, **kwargs: Any) -> dataplane.Rules:
        return mutant.rules(right(*args, **kwargs))

    monkeypatch.setattr(dataplane, "rules", wrong)
    loaded = [
        (right(cluster, n, counters=True), wrong(cluster, n, counters=True)) for n in cluster.nodes
    ]
    assert any(one != other for one, other in loaded), "there is such a rule"
    _, differing = played(cluster)
    assert differing


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_the_right_rules_are_not(mode: ProxyMode) -> None:
    flows, differing = played(few(mode))
    assert not differing
    assert flows > 50
