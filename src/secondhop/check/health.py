"""Health checks that disagree with what is served."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.cluster import Node
from ..model.fate import Fate
from ..model.finding import Finding
from ..predict.services import has_health_check
from .case import Case, Rule, named


def says_503(case: Case) -> Iterator[Finding]:
    """A terminating pod serves on while the health check counts ready ones (semantics §6.1)."""
    if not has_health_check(case.service):
        return
    nodes: dict[str, Node] = {}
    for entry in case.entries:
        if entry.outcome.fate is Fate.DELIVERED:
            answer = case.sender.health(entry.target, entry.node)
            if answer is not None and answer.status != 200:
                nodes |= {node.name: node for node in entry.nodes}
    if nodes:
        port = case.service.health_check_node_port
        message = (
            f"healthCheckNodePort {port} of {named(nodes.values(), len(nodes))} answers 503, while"
            " a terminating pod there still serves: balancers leave the node."
        )
        remedy = (
            "Keep the pod serving (a preStop sleep) for longer than the balancer takes to notice."
        )
        path = ("spec", "healthCheckNodePort")
        yield case.find("health-check-503", path, message, remedy)


PLACED: tuple[Rule, ...] = (says_503,)
