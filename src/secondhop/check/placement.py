"""Wherever the scheduler puts the pods: what may happen, also when a node is lost or they roll."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.finding import Certainty, Finding
from ..model.placement import Outlook
from ..predict.failover import all_on_one, movable
from ..predict.remedy import SPREAD
from ..predict.rollout import rollouts
from .case import ETP, Case, Rule
from .shares import UNEVEN


def local_drops(case: Case) -> Iterator[Finding]:
    """The same as for placed pods, over every placement."""
    outlook = case.outlook
    if outlook is None or not case.local or case.balancer.watches != "nothing":
        return
    if outlook.anywhere == "impossible" or outlook.empty == "impossible":
        return
    certainty: Certainty = "certain" if outlook.empty == "certain" else "possible"
    message = f"a node without a pod drops what outside clients send: {told(outlook)}."
    remedy = f"What makes it certain that no node drops: {outlook.remedy}."
    yield case.find("local-drops", ETP, message, remedy, certainty=certainty)


def told(outlook: Outlook) -> str:
    """Which nodes may have no pod, or with how many nodes some may not."""
    if not outlook.nodes_known:
        even, short = outlook.even_up_to or 0, outlook.short_above
        sure = f", certain with more than {short}" if short is not None else ""
        return f"possible with {f'{even + 1} nodes or more' if even else 'any nodes'}{sure}"
    nodes = [*outlook.never, *outlook.maybe]
    names = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
    if outlook.empty == "certain":
        return f"some of {names} have none in every placement that the manifests allow"
    return f"{names} may have none, by the placements that the manifests allow"


def uneven(case: Case) -> Iterator[Finding]:
    """Under Local a node splits its part among its own pods, and nodes may get unlike numbers."""
    outlook = case.outlook
    if outlook is None or not case.local or case.balancer.weighted or case.balancer.one_node:
        return
    crowd = min(outlook.crowded, outlook.most - outlook.thinnest)
    if crowd < UNEVEN * outlook.thinnest:
        return
    message = (
        f"one node may have {crowd} pods and another {outlook.thinnest}: behind"
        f" {case.around.balancer} each node splits an equal part among its own pods only."
    )
    remedy = f"Give the pods {SPREAD}, and a multiple of the nodes as replicas; or a DaemonSet."
    yield case.find("uneven-share", ETP, message, remedy, certainty="possible")


def lost_node(case: Case) -> Iterator[Finding]:
    """Several pods do not help if one node may have them all."""
    workloads = case.around.paths.placements.behind(case.service)
    if not case.nodes_known or sum(w.replicas or 0 for w in workloads) < 2:
        return
    certainty = all_on_one(case.homes, case.outlook)
    if certainty == "impossible" or len(case.around.cluster.nodes) < 2:
        return
    grace = case.around.examined.world.lab.node_grace_seconds
    which = "has" if certainty == "certain" else "may have"
    nowhere = ", for which there is no other node" if movable(workloads) is False else ""
    message = (
        f"one node {which} all pods: when it is lost, so is every connection, through whichever"
        f" node, until the control plane notices ({grace:g} s), evicts its pods and"
        f" others are ready{nowhere}."
    )
    remedy = f"Keep pods on two nodes at least: {SPREAD}, or required anti-affinity."
    path = ("spec", "selector")
    yield case.find("node-loss", path, message, remedy, certainty=certainty)


def rollout(case: Case) -> Iterator[Finding]:
    """Under Local a node's last ready pod must serve until the balancer has left (KEP-1669)."""
    if not case.local or case.balancer.watches != "health checks":
        return
    workloads = case.around.paths.placements.behind(case.service)
    version = case.around.cluster.kube_version
    for rolling in rollouts(workloads, local=True, balancer=case.balancer, version=version):
        if not rolling.falls_short:
            continue
        message = (
            f"in a rollout of {rolling.workload} a pod serves {rolling.served:g} s after it is told"
            f" to end, but {case.around.balancer} sends to its node for up to {rolling.needed:g} s"
            " more."
        )
        remedy = (
            f"Give its container a preStop sleep of {rolling.needed:g} s, and"
            f" terminationGracePeriodSeconds more than that."
        )
        yield case.find("rollout-gap", ETP, message, remedy)


UNPLACED: tuple[Rule, ...] = (local_drops, uneven)
ALWAYS: tuple[Rule, ...] = (lost_node, rollout)
