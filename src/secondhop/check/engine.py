"""All findings about an input, and what becomes of the requirements."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ..manifests import Examined
from ..manifests.collector import uncollected
from ..model.finding import Check, Finding, Where
from . import endpoints, health, hints, placement, policy, ranges, shares
from .case import Case, Rule, Surroundings
from .catalogue import CATALOGUE
from .require import Asked, judge

_SEVERITIES = ("error", "warning", "note")

ALWAYS: tuple[Rule, ...] = (
    *endpoints.ALWAYS,
    *policy.ALWAYS,
    *shares.ALWAYS,
    *ranges.ALWAYS,
    *hints.ALWAYS,
    *placement.ALWAYS,
)
"""Rules that do not mind where pods are."""
NODES: tuple[Rule, ...] = endpoints.NODES
"""Rules that need the nodes, wherever pods are."""
PLACED: tuple[Rule, ...] = (
    *endpoints.PLACED,
    *policy.PLACED,
    *shares.PLACED,
    *health.PLACED,
    *hints.PLACED,
)
"""Rules that need every pod in its place."""
UNPLACED: tuple[Rule, ...] = placement.UNPLACED
"""Rules over all placements that the manifests allow."""


@uncollected
def check(
    examined: Examined,
    *,
    balancer: str = "every-node",
    asked: Sequence[Asked] = (),
    services: Collection[str] | None = None,
) -> Check:
    """Everything found in the input, the worst first, and the requirements judged.

    balancer: one of BALANCERS. services: judge only these, by `namespace/name`; objects that are
    wrong in themselves are told in any case.
    """
    around = Surroundings(examined, balancer)
    cases = [
        Case(declared, around)
        for declared in examined.services
        if services is None or str(declared.service) in services
    ]
    found = [*_of_objects(examined), *(f for case in cases for f in _of_service(case))]
    found.sort(key=lambda finding: _SEVERITIES.index(finding.severity))
    return Check(
        tuple(found),
        tuple(judge(asked, cases, examined.problems)),
        examined.world.sources,
        len(cases),
        around.cluster,
        balancer,
        examined.world.notes,
        examined.left_out,
    )


def _of_objects(examined: Examined) -> Iterator[Finding]:
    """What is wrong with the objects themselves, in the order of their lines."""
    for problem in examined.problems:
        yield Finding(
            problem.id,
            CATALOGUE[problem.id].severity,
            "certain",
            problem.subject,
            problem.field,
            problem.message,
            problem.remedy,
            Where(problem.file, problem.line),
        )


def _of_service(case: Case) -> Iterator[Finding]:
    of_nodes = NODES if case.nodes_known else ()
    for rule in (*ALWAYS, *of_nodes, *(PLACED if case.placed else UNPLACED)):
        yield from rule(case)
