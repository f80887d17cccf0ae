"""What a proxy makes of mishaps: it ends where a fresh one begins, in both modes and families."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from proxying import Proxied, contents, proxied

from secondhop.errors import LabError
from secondhop.lab import iptables, nftables, program, proxyloop
from secondhop.model.cluster import ProxyMode

MODES: list[ProxyMode] = ["iptables", "nftables"]
REFUSES = 'echo "line 7 failed" >&2; exit 1'
HALF = 'sed "/^COMMIT/q" | {program} "$@"; kill -9 $$'
"""Loads the first table only, and is killed."""


@contextmanager
def other_programs(folder: Path, script: str) -> Iterator[None]:
    """The programs that load rules are replaced by this one, and libnftables is missing."""

    def find(*names: str, package: str) -> str:
        real = program.find_program(*names, package=package)
        if real.endswith("-save"):
            return real
        path = folder / Path(real).name
        path.write_text(f"#!/bin/sh\n{script.format(program=real)}\n")
        path.chmod(0o755)
        return str(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(iptables, "find_program", find)
        patch.setattr(nftables, "find_program", find)
        yield


@pytest.mark.parametrize("script", [REFUSES, HALF], ids=["refuses", "is killed"])
@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_fails_is_told_and_tried_again(
    tmp_path: Path, mode: ProxyMode, script: str
) -> None:
    async def body(world: Proxied) -> tuple[list[str], list[str], list[str]]:
        await world.service(1)
        await world.endpoints(1, "10.42.0.2", "10.42.0.3", "fd00:42::2")
        await world.agreed()
        with other_programs(tmp_path, script):
            await world.service(2, externalTrafficPolicy="Local")
            await world.endpoints(1, "10.42.0.3", "fd00:42::3")
            await world.until(lambda: len(world.events) > 1)
        await world.agreed()
        return world.events, contents(world.namespace), await world.fresh()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nftables, "LIBRARY", "libnftables.so.none")
        events, found, fresh = proxied(mode, body)
    assert events[0].startswith("Node gz1 FailedToSyncRules: the rules of gz1 were refused: ")
    assert ("line 7 failed" in events[0]) == (script == REFUSES)
    assert found == fresh


def tampered(mode: ProxyMode, *commands: str) -> tuple[bool, list[str], list[str]]:
    """Whether these commands changed anything in the node's kernel, and what there is after the
    proxy has looked."""

    async def body(world: Proxied) -> tuple[bool, list[str], list[str]]:
        await world.service(1, sessionAffinity="ClientIP")
        await world.endpoints(1, "10.42.0.2", "10.42.0.3", "fd00:42::2")
        await world.agreed()
        before = contents(world.namespace)
        for command in commands:
            with world.namespace:
                subprocess.run(["/bin/sh", "-c", f"PATH=$PATH:/usr/sbin; {command}"], check=True)
        damaged = contents(world.namespace) != before
        fresh = await world.fresh()
        async with asyncio.timeout(10):
            while (after := contents(world.namespace)) != fresh:
                await asyncio.sleep(0.05)
        return damaged, after, fresh

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proxyloop, "RESYNC_SECONDS", 0.1)
        return proxied(mode, body)


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        *((mode, "nft flush ruleset") for mode in MODES),
        *((mode, "iptables-nft -F FLANNEL-FWD") for mode in MODES),
        ("iptables", "iptables-nft -t nat -F"),
        ("iptables", "iptables-nft -t nat -D PREROUTING 1"),
        ("iptables", "ip6tables-nft -t nat -I KUBE-SERVICES -j RETURN"),
        ("nftables", "nft flush chain ip kube-proxy services"),
        ("nftables", "nft flush map ip6 kube-proxy service-ips"),
        ("nftables", "nft delete table ip6 kube-proxy"),
        ("nftables", "nft insert rule ip kube-proxy services return"),
    ],
)
def test_rules_changed_behind_its_back_come_back(mode: ProxyMode, command: str) -> None:
    damaged, after, fresh = tampered(mode, command)
    assert damaged
    assert after == fresh


@pytest.mark.parametrize("mode", MODES)
def test_other_peoples_rules_are_left_alone(mode: ProxyMode) -> None:
    async def body(world: Proxied) -> tuple[str, str, list[str]]:
        await world.service(1)
        await world.endpoints(1, "10.42.0.2")
        await world.agreed()
        own = "PATH=$PATH:/usr/sbin; nft add table ip mine; iptables-nft -A INPUT -s 10.9.9.9"
        with world.namespace:
            subprocess.run(["/bin/sh", "-c", f"{own} -j DROP"], check=True)
        handles = listing(world)
        await world.proxy.touched()
        await world.proxy.sync(world.view.cluster)
        return handles, listing(world), world.events

    def listing(world: Proxied) -> str:
        with world.namespace:
            command = ["/usr/sbin/nft", "-a", "list", "ruleset"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    before, after, events = proxied(mode, body)
    assert "table ip mine" in after
    assert "10.9.9.9" in after
    assert events == []
    assert before == after, "not one rule of ours was made anew"


@pytest.mark.parametrize("mode", MODES)
def test_what_happened_while_the_api_was_away_is_caught_up_with(mode: ProxyMode) -> None:
    async def body(world: Proxied) -> tuple[list[str], list[str], list[str], list[str]]:
        await world.service(1)
        await world.endpoints(1, "10.42.0.2")
        await world.agreed()
        before = contents(world.namespace)
        world.api.away = True
        await world.service(2)  # cuts the watches
        await world.endpoints(1, "10.42.0.3", "fd00:42::3")
        await world.api.delete("Service", "web-1", "default")
        await asyncio.sleep(0.2)
        meanwhile = contents(world.namespace)
        world.api.away = False
        await world.until(lambda: len(world.view.cluster.services) == 2)
        await world.until(lambda: sum(map(len, world.view.cluster.endpoints.values())) == 2)
        await world.agreed()
        return before, meanwhile, contents(world.namespace), await world.fresh()

    before, meanwhile, after, fresh = proxied(mode, body)
    assert meanwhile == before
    assert after == fresh != before


def test_a_refusal_that_lasts_is_told_to_who_waits() -> None:
    """The throw-away lab of `run` gives up; see test_faults for the whole command."""
    from secondhop.lab.embedded import Embedded

    error = LabError("the rules of gz1 were refused: no", "")
    lab = Embedded.__new__(Embedded)
    loop = proxyloop.ProxyLoop("gz1", None, lambda *_: None)  # type: ignore[arg-type]
    loop.complaint, loop.failing_since = error, -1e9
    lab.proxies = {"gz1": loop}
    with pytest.raises(LabError, match="refused: no"):
        asyncio.run(lab.agreed(lambda _: True))
