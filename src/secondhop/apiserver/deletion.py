"""How objects end: preconditions, grace, finalizers."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Deletion, Object
from ..manifests.api.field import FieldError, not_supported
from ..manifests.api.field import invalid as field_error
from .kinds import Kind
from .metadata import timestamp
from .refusals import conflict, forbidden, invalid
from .request import dry_run_rules

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
"""Finalizers that the garbage collector takes away, once it has done what they say."""
_PROPAGATED = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND], "Background": []}
_IMMORTAL = ("default", "kube-system", "kube-public")


def wish(options: Object) -> Deletion:
    """DeleteOptions, decoded. Raises ApiError 422."""
    if errors := [*_refusals(options)]:
        raise invalid("DeleteOptions.meta.k8s.io", "", errors)
    propagation = options.get("propagationPolicy")
    if propagation is None and "orphanDependents" in options:
        propagation = "Orphan" if options["orphanDependents"] else "Background"
    only = options.get("preconditions") or {}
    return Deletion(
        options.get("gracePeriodSeconds"),
        propagation,
        only.get("uid"),
        only.get("resourceVersion"),
    )


def _refusals(options: Object) -> Iterator[FieldError]:
    policy, path = options.get("propagationPolicy"), ("propagationPolicy",)
    if policy is not None and "orphanDependents" in options:
        why = "orphanDependents and deletionPropagation cannot be both set"
        yield field_error(path, policy, why)
    if policy is not None and policy not in _PROPAGATED:
        yield not_supported(path, policy, ("Foreground", "Background", "Orphan", "nil"))
    yield from dry_run_rules(options.get("dryRun", ()))


def check(kind: Kind, stored: Object, how: Deletion) -> None:
    """Raises ApiError: 403 for what must stay, 409 when it is not the object that is meant."""
    metadata = stored["metadata"]
    name = metadata["name"]
    if kind.kind == "Namespace" and name in _IMMORTAL:
        raise forbidden(kind, name, "this namespace may not be deleted")
    for what, wanted, found, happened in (
        ("UID", how.uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", how.revision, metadata["resourceVersion"], "modified"),
    ):
        if wanted is not None and wanted != found:
            why = (
                f"the {what} in the precondition ({wanted}) does not match the {what} in record "
                f"({found}). The object might have been {happened}"
            )
            raise conflict(kind, name, why)


def ended(kind: Kind, stored: Object, how: Deletion, now: float) -> Object | None:
    """What is left of an object after a request to delete it: marked as going, the same if it was
    going already, None if nothing keeps it."""
    metadata = stored["metadata"]
    going = "deletionTimestamp" in metadata
    grace = _grace(stored, how) if kind.kind == "Pod" else 0
    if going and (left := metadata.get("deletionGracePeriodSeconds") or 0):
        if how.grace is None or grace >= left:
            return stored
        now = _seconds(metadata["deletionTimestamp"]) - left
    finalizers = _finalizers(metadata.get("finalizers") or [], how)
    if not (grace or finalizers or (stored.get("spec") or {}).get("finalizers")):
        return None
    marked = {**metadata, "finalizers": finalizers}
    if not finalizers:
        del marked["finalizers"]
    if not going or grace or metadata["deletionGracePeriodSeconds"]:
        marked |= {
            "deletionTimestamp": timestamp(now + grace),
            "deletionGracePeriodSeconds": grace,
        }
    if not going and kind.generation:
        marked["generation"] = metadata.get("generation", 0) + 1
    if marked == metadata:
        return stored
    left_over = {**stored, "metadata": marked}
    if kind.kind == "Namespace":
        left_over["status"] = {**stored["status"], "phase": "Terminating"}
    return left_over


def finished(value: Object) -> bool:
    """Whether an object that was to be deleted is kept by nothing any more."""
    metadata = value["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("deletionGracePeriodSeconds")
        and not metadata.get("finalizers")
        and not (value.get("spec") or {}).get("finalizers")
    )


def _grace(pod: Object, how: Deletion) -> int:
    """Seconds; none for a pod that runs nowhere."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace: int = spec.get("terminationGracePeriodSeconds", 0) if how.grace is None else how.grace
    return grace if grace >= 0 else 1


def _finalizers(present: list[str], how: Deletion) -> list[str]:
    if how.propagation is None:
        return present
    others = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    return others + _PROPAGATED[how.propagation]


def _seconds(stamp: str) -> int:
    import calendar
    import time

    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))
