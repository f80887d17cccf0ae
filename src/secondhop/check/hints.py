"""Topology hints that do not come about."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.finding import Finding
from ..model.version import SINCE, Feature
from .case import Case, Rule

_FIELD = ("spec", "trafficDistribution")
_BY_ZONE = ("PreferClose", "PreferSameZone")


def switched_off(case: Case) -> Iterator[Finding]:
    """One ready endpoint without a zone hint switches them off everywhere (semantics §13.6)."""
    for target in case.targets:
        ready = [e for e in target.endpoints if e.ready]
        bare = [e for e in ready if not e.zone_hints]
        wanted = case.declared.distribution in _BY_ZONE and _known(case)
        if bare and (len(bare) < len(ready) or wanted):
            where = f" on {bare[0].node}" if bare[0].node else ""
            message = (
                f"zone hints are off for the whole Service, on every node: {len(bare)} of"
                f" {len(ready)} ready endpoints have none ({bare[0].pod or bare[0]}{where})."
            )
            node = case.around.paths.routes.node(bare[0].node or "")
            remedy = "Give every endpoint of the EndpointSlices a hint, or none."
            if node is not None and node.zone is None:
                remedy = f"Label node {node.name} with topology.kubernetes.io/zone."
            yield case.find("hints-off", _FIELD, message, remedy)
            return


def unknown(case: Case) -> Iterator[Finding]:
    """A trafficDistribution that this release's controllers do not act on (§15)."""
    wanted = case.declared.distribution
    if wanted in ("", "Auto") or _known(case):
        return
    version, since = case.around.cluster.kube_version, SINCE[_needs(wanted)]
    message = f"Kubernetes {version} does not act on {wanted}: it is on by default from {since}."
    prefer = since != SINCE["trafficDistribution"] and version.has("trafficDistribution")
    remedy = "Write PreferClose." if prefer else f"Upgrade to {since}, or remove it."
    yield case.find("distribution-unknown", _FIELD, message, remedy)


def _known(case: Case) -> bool:
    return case.around.cluster.kube_version.has(_needs(case.declared.distribution))


def _needs(distribution: str) -> Feature:
    return "trafficDistribution" if distribution == "PreferClose" else "node hints"


ALWAYS: tuple[Rule, ...] = (unknown,)
PLACED: tuple[Rule, ...] = (switched_off,)
