"""The experiment on a throw-away lab: apply, probe, patch, probe, compare with the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..lab.client import Lab
from ..manifests import World, with_policy, with_readiness
from ..model.cluster import Policy, Service
from ..model.fate import Outcome, Trial
from ..model.flow import Flow
from ..predict import predict
from .events import Applied, Event, Held, Probed
from .fit import refuse_unfit
from .plan import flows, policies

ATTEMPTS = 12


def run(
    lab: Lab,
    world: World,
    service: Service,
    *,
    attempts: int = ATTEMPTS,
    wait_timeouts: bool = False,
) -> Iterator[Event]:
    """The experiment on a new lab, step by step.

    attempts: fresh connections a row. wait_timeouts: wait every drop out as curl would instead of
    believing the rule that dropped. Raises UsageError, EnvironmentUnable, LabError.
    """
    planned = flows(world.cluster, service)
    refuse_unfit(world, service)
    world = with_readiness(_placed(world), lab.start(world.cluster))
    for number, policy in enumerate(policies(service)):
        cluster = with_policy(world.cluster, service, policy)
        lab.program(cluster)
        yield Applied(policy, cluster)
        if number:
            yield Held(*lab.held())
        for flow in planned:
            observed, reply = lab.observe(flow, attempts, wait_timeouts=wait_timeouts)
            yield Probed(Trial(policy, flow, predict(cluster, flow), observed), reply)
            if observed.seen and not number:
                lab.hold(flow)


def predictions(world: World, service: Service) -> list[tuple[Policy, Flow, Outcome]]:
    """The same rows from the manifests alone. Raises UsageError."""
    world = _placed(world)
    return [
        (policy, flow, predict(with_policy(world.cluster, service, policy), flow))
        for policy in policies(service)
        for flow in flows(world.cluster, service)
    ]


def _placed(world: World) -> World:
    """The World whose pods are where they are: a lab places them so."""
    return replace(world, cluster=replace(world.cluster, workloads=()))
