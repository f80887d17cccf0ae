"""Every address of a Service tried from here, at the same time; touches nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from ..model.cluster import Address
from ..model.fate import Fate, Observation
from ..model.flow import Destination, Flow
from ..model.probing import Answer, Control, Tried
from .dialling import Attempt, Dialler

_POLL_SECONDS = 0.2
KNOWN_PORTS = {10250: "kubelet", 10256: "kube-proxy's health check", 22: "SSH"}
"""Ports of a node at which something usually answers, be it a refusal."""


class Prober(Protocol):
    """Who dials, from wherever it is."""

    async def observe(self, flow: Flow, node: str | None, attempts: int) -> Tried:
        """That many fresh connections, summed up."""

    async def answer(self, address: Address, port: int) -> Answer:
        """What comes back from a port, be it a refusal."""


async def probe(
    dialler: Prober,
    flows: Sequence[tuple[Flow, str | None]],
    controls: dict[int, str],
    attempts: int,
) -> list[Tried]:
    """Each flow, tried so many times. flows: each with the node whose address is dialled. controls:
    ports to try where an address is silent, or nobody tells who answers, and what is there."""
    asked: dict[Address, asyncio.Task[tuple[Control, ...]]] = {}

    async def one(flow: Flow, node: str | None) -> Tried:
        to = flow.destination
        tried = await dialler.observe(flow, node, 1 if _is_health(to) else attempts)
        seen = tried.observed
        if seen.seen or not (tried.silent or Fate.DELIVERED in seen.fates):
            return tried
        if to.address not in asked:
            asked[to.address] = asyncio.create_task(_ask(dialler, to.address, controls))
        return replace(tried, controls=await asked[to.address])

    return await asyncio.gather(*(one(flow, node) for flow, node in flows))


def _is_health(to: Destination) -> bool:
    return to.kind == "healthCheckNodePort"


async def _ask(dialler: Prober, address: Address, controls: dict[int, str]) -> tuple[Control, ...]:
    answers = await asyncio.gather(*(dialler.answer(address, port) for port in controls))
    return tuple(
        Control(port, what, answer)
        for (port, what), answer in zip(controls.items(), answers, strict=True)
    )


async def settle(
    dialler: Dialler, destinations: Mapping[Destination, Observation | None], seconds: float
) -> list[Destination]:
    """Wait until a change has reached every node: until each address does something else than
    before. destinations: with what was seen there before; None: wait until it answers at all. Gives
    those that did not change in time."""

    async def one(to: Destination, before: Observation | None) -> bool:
        deadline = time.monotonic() + seconds
        while not _other(await dialler.attempt(to), before):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    done = await asyncio.gather(*(one(to, before) for to, before in destinations.items()))
    return [to for to, changed in zip(destinations, done, strict=True) if not changed]


def _other(now: Attempt, before: Observation | None) -> bool:
    if before is None:
        return now.fate is Fate.DELIVERED
    if now.fate not in before.fates:
        return True
    sources = {seen.source_ip for seen in before.seen}
    return bool(now.told.source) and now.told.source not in sources
