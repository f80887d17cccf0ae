"""What a lost node and a rollout cost, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.failover import Failover, NodeLoss, Rolling
from .layout import few, wrapped


def sentences(found: Failover) -> Iterator[str]:
    """The loss of the worst node and the worst rollout, in lines; nothing of a Service that serves
    nobody."""
    if not found.losses or found.losses[0].before == 1:
        return
    yield from wrapped(f"If {_who(found)} is lost{_loss(found, found.losses[0])}.", "")
    for one in sorted(found.rollouts, key=lambda one: (not one.falls_short, one.least))[:1]:
        yield from wrapped(f"In a rollout of {one.workload}: {_rolling(found, one)}.", "")


def _who(found: Failover) -> str:
    worst = found.losses[0]
    if not worst.nodes:
        return "a node, in the worst placement,"
    several = "one of " if len(worst.nodes) > 1 else ""
    others = ", the worst," if len(found.losses) > 1 else ""
    return f"{several}{few(worst.nodes, 'nodes')}{others}"


def _loss(found: Failover, loss: NodeLoss) -> str:
    if not loss.left:
        nowhere = ", for which there is no other node" if loss.movable is False else ""
        return f", so is every connection until pods are ready elsewhere{nowhere}"
    parts = []
    if loss.entering:
        parts.append(f"{_entering(loss)} {_until_left_out(found)}")
    if loss.through_others:
        parts.append(
            f"{loss.through_others:.0%} of what enters by other nodes until the control plane"
            f" notices ({found.grace:g} s)"
        )
    already = f"; {loss.before:.0%} is lost already" if loss.before else ""
    return f", so is {' and '.join(parts) or 'nothing'}{already}"


def _entering(loss: NodeLoss) -> str:
    if loss.entering == 1:
        return "every connection, if it has the address,"
    return f"what it is sent ({loss.entering:.0%} of connections)"


def _until_left_out(found: Failover) -> str:
    if found.detection is None:
        return f"for as long as it is down ({found.balancer} never leaves it out)"
    return f"until {found.balancer} leaves it out ({found.detection:g} s)"


def _rolling(found: Failover, one: Rolling) -> str:
    parts = [f"{one.least} of {one.wanted} pods stay ready"]
    if one.dark != "impossible":
        verb = "is" if one.dark == "certain" else "may be"
        drops = "" if one.needed else f", and drops what {found.balancer} goes on sending there"
        parts.append(f"a node {verb} without a ready one for a while{drops}")
    if one.needed is not None:
        parts.append(_serves(one.served, one.needed))
    if not one.probed:
        parts.append("no readinessProbe holds new ones back until they listen")
    return "; ".join(parts)


def _serves(served: float | None, needed: float) -> str:
    """How long a pod that ends serves on, and how long it would have to."""
    if served is None:
        return f"the preStop hook must let ending pods serve {needed:g} s more"
    helps = " (preStop sleep)" if served < needed else ""
    return f"ending pods serve {served:g} s more, {needed:g} s are needed{helps}"
