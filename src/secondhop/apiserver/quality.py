"""The quality of service class of a pod."""

from __future__ import annotations

from ..client.api import Object


def quality_of_service(spec: Object) -> str:
    """BestEffort without requests and limits, Guaranteed where both are equal for all, else
    Burstable."""
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    wanted = [each.get("resources") or {} for each in containers]
    if not any(one.get("requests") or one.get("limits") for one in wanted):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= (limits := one.get("limits") or {}).keys()
        and (one.get("requests") or limits) == limits
        for one in wanted
    )
    return "Guaranteed" if guaranteed else "Burstable"
