"""The experiment on a throw-away lab: apply, probe, patch, probe, compare with the prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TypeAlias

from ..lab.client import Lab
from ..manifests import World, with_policy, with_readiness
from ..model.cluster import Cluster, Policy, Service
from ..model.fate import Outcome, Trial
from ..model.flow import Flow
from ..predict import predict
from .events import Applied, Event, Held, Probed
from .fit import refuse_unfit, stock_proxy
from .plan import flows, policies

ATTEMPTS = 12
_AT_ONCE = 16
"""Flows that are tried together: a row that nobody answers takes a second."""


Plan: TypeAlias = Callable[[Cluster, Service], list[Flow]]
"""Which flows to try with a Service of a Cluster."""


def run(
    lab: Lab,
    world: World,
    service: Service,
    plan: Plan = flows,
    *,
    attempts: int = ATTEMPTS,
    wait_timeouts: bool = False,
) -> Iterator[Event]:
    """The experiment on a new lab, step by step.

    plan: which flows to try under each policy. attempts: fresh connections a row. wait_timeouts:
    wait every drop out as curl would instead of believing the rule that dropped. Raises UsageError,
    EnvironmentUnable, LabError.
    """
    plan(world.cluster, service)
    refuse_unfit(world, service)
    kube_proxy = stock_proxy(world)
    world = _placed(world)
    world = with_readiness(world, lab.start(world.cluster, kube_proxy))
    for number, policy in enumerate(policies(service)):
        cluster = under(world.cluster, service, policy)
        lab.program(cluster)
        yield Applied(policy, cluster)
        if number:
            yield Held(*lab.held())
        for together in _together(plan(cluster, service)):
            seen = lab.observe(together, attempts, wait_timeouts=wait_timeouts)
            for flow, (observed, reply) in zip(together, seen, strict=True):
                yield Probed(Trial(policy, flow, predict(cluster, flow), observed), reply)
                if observed.seen and not number and flow.is_reference:
                    lab.hold(flow)


def predictions(
    world: World, service: Service, plan: Plan = flows
) -> list[tuple[Policy, Flow, Outcome]]:
    """The same rows from the manifests alone. Raises UsageError."""
    world = _placed(world)
    rows = []
    for policy in policies(service):
        cluster = under(world.cluster, service, policy)
        rows += [(policy, flow, predict(cluster, flow)) for flow in plan(cluster, service)]
    return rows


def under(cluster: Cluster, service: Service, policy: Policy) -> Cluster:
    """The Cluster with this policy, where the Service is not as it stands."""
    if policy == service.external_traffic_policy:
        return cluster
    return with_policy(cluster, service, policy)


def _together(planned: Sequence[Flow]) -> Iterator[list[Flow]]:
    """The flows in parts that can be tried at once: the network outside brings an address to one
    node at a time."""
    ordered = sorted(planned, key=lambda flow: flow.via or "")
    for _, same in groupby(ordered, key=lambda flow: flow.via):
        while part := list(islice(same, _AT_ONCE)):
            yield part


def _placed(world: World) -> World:
    """The World whose pods are where they are: a lab places them so."""
    return replace(world, cluster=replace(world.cluster, workloads=()))
