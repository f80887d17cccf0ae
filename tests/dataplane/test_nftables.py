"""kube-proxy's table in a real kernel: from any state to any other, and what survives the way."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import nft_contents, nft_objects, sandboxed

from secondhop.dataplane.memory import Memory
from secondhop.dataplane.nftables.layout import rules
from secondhop.dataplane.nftables.ruleset import LIMIT, Table, transactions
from secondhop.errors import EnvironmentUnable, LabError
from secondhop.lab import nftables
from secondhop.lab.netns import Namespace
from secondhop.lab.nftables import Context, Loader, instrument
from secondhop.model.cluster import Cluster, Family

from .worlds import NODE, WORLDS, cluster, endpoint, service

FAMILIES: tuple[Family, ...] = (4, 6)


def table(of: Cluster, family: Family = 4) -> Table:
    """As the lab loads it: with logs."""
    return instrument(rules(of, NODE, family))[0]


def after(states: Sequence[Table], limit: int = LIMIT) -> list[str]:
    """What a kernel holds after these states, one after the other."""
    loader = Loader(namespace := Namespace.create("node"), limit)
    for state in states:
        asyncio.run(loader.sync(state))
    return nft_contents(namespace)


def elements(namespace: Namespace, name: str) -> list[Any]:
    return [
        element
        for one in nft_objects(namespace)
        for element in one.get("set", {}).get("elem", ())
        if one["set"]["name"] == name
    ]


@settings(max_examples=40, deadline=None)
@given(
    worlds=st.lists(WORLDS, min_size=2, max_size=4),
    family=st.sampled_from(FAMILIES),
    limit=st.sampled_from([LIMIT, 3000]),
)
def test_the_way_there_does_not_matter(worlds: list[Cluster], family: Family, limit: int) -> None:
    tables = [table(world, family) for world in worlds]
    stepwise, fresh = sandboxed(lambda: (after(tables, limit), after(tables[-1:])))
    assert stepwise == fresh


def test_equal_states_need_nothing() -> None:
    state = table(cluster({service(0): [endpoint(0)]}))
    assert transactions(state, state) == ([], [])


def test_only_the_difference_is_written() -> None:
    """A pod more: its Service's chains and what they are reached by, in one transaction."""
    before, then = [endpoint(1)], [endpoint(1), endpoint(3)]
    web, other = service(0, ports=service(0).ports[:1]), service(1)
    old = table(cluster({web: before, other: before}))
    steps = transactions(old, table(cluster({web: then, other: before})))
    chain = "ip kube-proxy service-C3TE4X2E-default/web-0/tcp/p"
    assert steps.load == [
        f"flush chain {chain}\nadd rule {chain} meta l4proto tcp dnat ip to numgen random mod 2"
        " map { 0 : 10.42.0.3 . 80, 1 : 10.42.0.5 . 80 }\n"
    ]
    assert steps.gone == []


def remembering() -> tuple[list[Any], list[Any], list[Any]]:
    """The sources that endpoint 0 remembers: after another's end, another timeout, and its own
    end and return."""
    sticky = service(0, affinity_timeout=10800)
    loader = Loader(namespace := Namespace.create("node"))

    def sync(timeout: int, *numbers: int) -> list[Any]:
        changed = replace(sticky, affinity_timeout=timeout)
        state = table(cluster({changed: [endpoint(n) for n in numbers]}))
        asyncio.run(loader.sync(state))
        [name] = [n for n in state.sets if n.endswith("web-0/tcp/p__10.42.0.2/80")] or [""]
        return [one["elem"]["val"] for one in elements(namespace, name)]

    sync(10800, 0, 1)
    [name] = [
        n
        for n in table(cluster({sticky: [endpoint(0)]})).sets
        if n.endswith("/tcp/p__10.42.0.2/80")
    ]
    Context(namespace).run(f"add element ip kube-proxy {name} {{ 198.51.100.1 }}")
    kept, retimed = sync(10800, 0, 2), sync(60, 0, 2)
    sync(60, 2)
    return kept, retimed, sync(60, 0)


def test_what_an_endpoint_remembers_lives_as_long_as_the_endpoint() -> None:
    """semantics §5.3."""
    assert sandboxed(remembering) == (["198.51.100.1"], ["198.51.100.1"], [])


MANY = {
    service(k, affinity_timeout=60, external_traffic_policy="Local"): [
        endpoint(n) for n in range(5)
    ]
    for k in range(60)
}


def many() -> tuple[str, int]:
    """What is said of one transaction for all, and how many it takes."""
    state = table(cluster(MANY))
    [whole] = transactions(None, state, 1 << 30).load
    try:
        Context(Namespace.create("node")).run(whole)
        said = ""
    except LabError as error:
        said = error.message
    after([state])
    return said, len(transactions(None, state).load)


def test_more_than_fits_the_default_buffer_is_loaded_in_parts() -> None:
    """The sandbox's user namespace may not raise it, whoever runs the test."""
    said, count = sandboxed(many)
    assert "Message too long" in said
    assert count > 2


def test_the_last_part_is_a_small_switch() -> None:
    *_, switch = transactions(None, table(cluster(MANY))).load
    assert len(switch) < 3000
    assert "nat-prerouting" in switch
    assert switch.count("add chain") == 8


def refusing() -> list[bool]:
    """Whether a sync after a refused one leads where a fresh one would, as a whole and in parts."""
    good = [table(cluster({service(k): [endpoint(k)]})) for k in range(3)]
    bad = replace(
        good[1], sets={**good[1].sets, "odd": replace(good[1].sets["cluster-ips"], spec="type odd")}
    )
    found = []
    for limit in LIMIT, 2000:
        loader = Loader(namespace := Namespace.create("node"), limit)
        asyncio.run(loader.sync(good[0]))
        before = nft_contents(namespace)
        with pytest.raises(LabError, match=r"of node were refused: .*odd"):
            asyncio.run(loader.sync(bad))
        found.append(limit < LIMIT or nft_contents(namespace) == before)
        asyncio.run(loader.sync(good[2]))
        found.append(nft_contents(namespace) == after([good[2]]))
    return found


def test_after_a_refusal_the_next_sync_mends_it() -> None:
    assert sandboxed(refusing) == [True] * 4


def looked_at() -> list[int]:
    """How many descriptors there are after each of some looks at the kernel's table."""
    loader = Loader(Namespace.create("node"))
    asyncio.run(loader.sync(table(cluster({service(0): [endpoint(0)]}))))
    found = []
    for _ in range(3):
        assert not asyncio.run(loader.touched())
        nftables._WORKER.submit(int).result()
        found.append(len(os.listdir("/proc/self/fd")))
    return found


def test_a_look_at_the_table_leaves_nothing_open() -> None:
    """What a socket of libnftables is open in lives on: a namespace, and all rules in it."""
    assert len(set(sandboxed(looked_at))) == 1


def in_turn() -> int:
    """How many of some nodes are served, all at once and each in much less time than it may take,
    but all in more."""

    def slow(self: Context, text: str) -> str:
        time.sleep(0.1)
        return ""

    async def all_at_once() -> int:
        state = table(cluster({service(0): [endpoint(0)]}))
        loaders = [Loader(Namespace.create(f"node{k}")) for k in range(16)]
        return len(await asyncio.gather(*(loader.sync(state) for loader in loaders)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "run", slow)
        patch.setattr(nftables, "_SECONDS", 1.0)
        return asyncio.run(all_at_once())


def test_no_node_pays_for_the_time_that_others_take() -> None:
    assert sandboxed(in_turn) == 16


def lingering() -> tuple[list[str], bool]:
    """Empty chains that a kernel does not let go of yet, and whether the next sync mends it."""
    first, second = (table(cluster({service(k): [endpoint(k)]})) for k in (0, 1))
    loader = Loader(namespace := Namespace.create("node"))
    asyncio.run(loader.sync(first))
    good = Context.run

    def busy(self: Context, text: str) -> None:
        if text.startswith("delete chain"):
            raise LabError("Device or resource busy", "")
        good(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "run", busy)
        asyncio.run(loader.sync(second))
    left = {one["chain"]["name"] for one in nft_objects(namespace) if "chain" in one}
    filled = {one["rule"]["chain"] for one in nft_objects(namespace) if "rule" in one}
    asyncio.run(loader.sync(first))
    return sorted(left - filled - second.chains.keys()), nft_contents(namespace) == after([first])


def test_chains_in_use_are_deleted_later() -> None:
    stale, mended = sandboxed(lingering)
    assert len(stale) == 4
    assert mended


def by_program() -> bool:
    state = table(cluster({service(0): [endpoint(0)]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nftables, "LIBRARY", "libnftables.so.none")
        loaded = after([state])
        with pytest.raises(LabError, match=r"refused: .*string, expecting"):
            after([replace(state, family="odd")])
        patch.setattr(shutil, "which", lambda name, path=None: None)
        with pytest.raises(EnvironmentUnable, match="apt-get install nftables"):
            after([state])
    return loaded == after([state])


def test_without_the_library_the_program_does() -> None:
    assert sandboxed(by_program)


@settings(max_examples=60, deadline=None)
@given(
    worlds=st.lists(WORLDS, min_size=2, max_size=3),
    kept=st.lists(st.integers(0, 2), min_size=3, max_size=6),
    family=st.sampled_from(FAMILIES),
)
def test_memory_changes_nothing(worlds: list[Cluster], kept: list[int], family: Family) -> None:
    """Of the cluster before, some Services and some endpoints are the same objects."""
    memory: Memory[Table] = Memory()
    now = worlds[0]
    for number in kept:
        other = worlds[number % len(worlds)]
        names = {str(one) for one in now.services}
        services = (*now.services, *(s for s in other.services if str(s) not in names))
        now = replace(
            other, services=services[number:], endpoints={**now.endpoints, **other.endpoints}
        )
        assert rules(now, NODE, family, memory) == rules(now, NODE, family)
