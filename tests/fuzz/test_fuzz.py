"""Random clusters: prediction and packets agree on every flow. `make fuzz N=2000` tries that many.

In the environment, as the Makefile sets it: FUZZ_N, how many worlds of each mode; FUZZ_PROXY, the
path of a stock kube-proxy that is to be in the place of ours.
"""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secondhop.model.cluster import ProxyMode
from secondhop.model.fate import Fate
from secondhop.predict.matrix import cells

from .play import played
from .worlds import Drawn, drawn

MODES: tuple[ProxyMode, ...] = ("iptables", "nftables")
FEW = 6
MANY = int(os.environ.get("FUZZ_N", "100"))
KUBE_PROXY = os.environ.get("FUZZ_PROXY") or None
EVEN_SLOWLY: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def agrees(world: Drawn, kube_proxy: str | None = None) -> int:
    """How many flows agree, which is all. Raises AssertionError with a file that shows others."""
    flows, differing = played(world.world().cluster, kube_proxy)
    if differing:
        told = "\n".join(differing)
        raise AssertionError(f"{told}\nsecondhop run --all svc/NAME -f this.yaml:\n{world}")
    return flows


@pytest.mark.parametrize("mode", MODES)
def test_some_worlds_agree(able: None, mode: ProxyMode) -> None:
    """The same ones each time."""

    @settings(max_examples=FEW, derandomize=True, **EVEN_SLOWLY)
    @given(drawn(mode))
    def agree(world: Drawn) -> None:
        agrees(world)

    agree()


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("mode", MODES)
def test_many_worlds_agree(able: None, mode: ProxyMode) -> None:
    """Shrunk to the smallest that does not. The seed is `--hypothesis-seed`'s."""
    flows: list[int] = []

    @settings(max_examples=MANY, **EVEN_SLOWLY)
    @given(drawn(mode))
    def agree(world: Drawn) -> None:
        flows.append(agrees(world, KUBE_PROXY))
        if len(flows) % 50 == 0:
            print(f"{mode}: {len(flows)} worlds, {sum(flows)} flows agree", flush=True)

    agree()


def test_the_worlds_are_wide() -> None:
    """Every fate comes up, over both protocols and families, if not every time."""
    met = set()

    @settings(max_examples=200, derandomize=True, **EVEN_SLOWLY)
    @given(st.sampled_from(MODES).flatmap(drawn))
    def look(world: Drawn) -> None:
        for cell in cells(world.world().cluster):
            to = cell.flow.destination
            met.add((cell.outcome.fate, to.protocol, to.address.version))

    look()
    wanted = {Fate.DELIVERED, Fate.DROPPED, Fate.REJECTED, Fate.LOOP}
    by_either = {(fate, one) for fate, *both in met for one in both}
    assert {(fate, one) for fate in wanted for one in ("TCP", "UDP", 4, 6)} <= by_either
    assert {fate for fate, _, _ in met} >= wanted | {Fate.CLOSED, Fate.UNROUTABLE}
