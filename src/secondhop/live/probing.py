"""Every address of a Service tried from here, at the same time; touches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from ..model.cluster import Address
from ..model.fate import Fate
from ..model.flow import Destination, Flow
from ..model.probing import Control, Tried
from .dialling import Dialler

KNOWN_PORTS = {10250: "kubelet", 10256: "kube-proxy's health check", 22: "SSH"}
"""Ports of a node at which something usually answers, be it a refusal."""


async def probe(
    dialler: Dialler,
    flows: Sequence[tuple[Flow, str | None]],
    controls: dict[int, str],
    attempts: int,
) -> list[Tried]:
    """Each flow, tried so many times. flows: each with the node whose address is dialled. controls:
    ports to try where an address is silent, or nobody tells who answers, and what is there."""
    asked: dict[Address, asyncio.Task[tuple[Control, ...]]] = {}

    async def one(flow: Flow, node: str | None) -> Tried:
        to = flow.destination
        seen, status = await dialler.observe(to, 1 if _is_health(to) else attempts)
        tried = Tried(flow, seen, node, status=status)
        if seen.seen or not (tried.silent or Fate.DELIVERED in seen.fates):
            return tried
        if to.address not in asked:
            asked[to.address] = asyncio.create_task(_ask(dialler, to.address, controls))
        return replace(tried, controls=await asked[to.address])

    return await asyncio.gather(*(one(flow, node) for flow, node in flows))


def _is_health(to: Destination) -> bool:
    return to.kind == "healthCheckNodePort"


async def _ask(dialler: Dialler, address: Address, controls: dict[int, str]) -> tuple[Control, ...]:
    answers = await asyncio.gather(*(dialler.answer(address, port) for port in controls))
    return tuple(
        Control(port, what, answer)
        for (port, what), answer in zip(controls.items(), answers, strict=True)
    )
