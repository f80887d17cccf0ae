"""What keeps loading linear finds the same as looking at everything would."""

from __future__ import annotations

import gc
from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondhop.manifests import read_text
from secondhop.manifests.collector import uncollected
from secondhop.manifests.labelled import Labelled
from secondhop.manifests.ranges import bounds, free_parts, inside, overlap
from secondhop.model.cluster import Pod

LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))
NAMESPACES = st.sampled_from(["one", "two", "three"])
PODS = st.lists(st.builds(Pod, NAMESPACES, st.just("p"), st.none(), labels=LABELS))
WHOLE = IPv4Network("10.0.0.0/21")


@given(PODS, NAMESPACES, LABELS)
def test_a_selector_finds_its_pods(pods: list[Pod], where: str, selector: dict[str, str]) -> None:
    there = [pod for pod in pods if pod.namespace == where]
    found = Labelled(pods).select(where, selector)
    assert found == [pod for pod in there if selector.items() <= pod.labels.items()]
    assert list(Labelled(pods).within(where)) == there


@given(st.lists(st.tuples(st.integers(0, 2**11 - 1), st.integers(20, 32))))
def test_free_parts_touch_nothing_taken(drawn: list[tuple[int, int]]) -> None:
    taken = [ip_network((int(WHOLE[offset]), size), strict=False) for offset, size in drawn]
    taken.append(ip_network("fd00::/64"))
    expected = [p for p in WHOLE.subnets(new_prefix=24) if not any(overlap(p, t) for t in taken)]
    assert list(free_parts(WHOLE, taken)) == expected


@given(st.lists(st.ip_addresses(v=4), min_size=1), st.integers(1, 31))
def test_what_holds_the_bounds_holds_all(ips: list[object], size: int) -> None:
    first = ip_address(str(ips[0]))
    around = ip_network(f"{first}/{size}", strict=False)
    found = bounds(ip_address(str(ip)) for ip in [*ips, "fd00::1"])
    held = all(inside(part, around) for part in found if part.version == 4)
    assert held == all(ip_address(str(ip)) in around for ip in ips)
    assert [str(part) for part in found if part.version == 6] == ["fd00::1/128"] * 2


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_left_as_it_was(on: bool) -> None:
    @uncollected
    def fail() -> None:
        assert not gc.isenabled()
        raise KeyError

    try:
        (gc.enable if on else gc.disable)()
        read_text("kind: List\nitems: []", "empty.yaml")
        assert gc.isenabled() is on
        with pytest.raises(KeyError):
            fail()
        assert gc.isenabled() is on
    finally:
        gc.enable()
