"""NetworkPolicies that will judge the client's connections by another source address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..model.cluster import Address, Cluster, Pod, Protocol
from ..model.difference import Admission, Change
from ..model.fate import Outcome
from ..model.policy import NetworkPolicy


class _Door(NamedTuple):
    """A pod's port."""

    pod: str
    port: int
    protocol: Protocol


class _Seen(NamedTuple):
    """The addresses that connections of the client show a pod."""

    before: dict[Address, None]
    after: dict[Address, None]


def admissions(
    cluster: Cluster, changes: Sequence[Change], policies: Sequence[NetworkPolicy]
) -> Iterator[Admission]:
    """The policies with an ipBlock that admits some address of one side only.

    Whether a network plugin sees the address before or after kube-proxy replaced it is its own
    affair; judged is the address that the pod sees. Needs Pod objects, for their labels.
    """
    pods = {(pod.namespace, pod.name): pod for pod in cluster.pods}
    for policy in policies:
        chosen = [
            (pod, door, seen)
            for door, seen in _doors(changes).items()
            if (pod := pods.get((changes[0].service.namespace, door.pod))) and policy.selects(pod)
        ]
        yield from _judged(policy, policies, chosen)


def _doors(changes: Sequence[Change]) -> dict[_Door, _Seen]:
    found: dict[_Door, _Seen] = {}
    for change in changes:
        if change.from_outside:
            _look(found, change, change.before, "before")
            _look(found, change, change.after, "after")
    return {door: seen for door, seen in found.items() if seen.after}


def _look(found: dict[_Door, _Seen], change: Change, told: Outcome | None, side: str) -> None:
    for backend in told.backends if told else ():
        port = int(backend.address.rpartition(":")[2])
        door = _Door(backend.pod, port, change.destination.protocol)
        seen = found.setdefault(door, _Seen({}, {}))
        (seen.before if side == "before" else seen.after)[backend.source_ip] = None


def _judged(
    policy: NetworkPolicy,
    policies: Sequence[NetworkPolicy],
    chosen: Sequence[tuple[Pod, _Door, _Seen]],
) -> Iterator[Admission]:
    """One Admission for all pods of a policy whose verdicts differ, if any do."""
    before: dict[Address, bool] = {}
    after: dict[Address, bool] = {}
    names: dict[str, None] = {}
    cut_off = False
    for pod, door, seen in chosen:
        was = {ip: policy.admits(ip, pod, door.port, door.protocol) for ip in seen.before}
        will = {ip: policy.admits(ip, pod, door.port, door.protocol) for ip in seen.after}
        if set(was.values()) == set(will.values()):
            continue
        before |= was
        after |= will
        names[pod.name] = None
        if _all_admitted(policies, pod, door, seen.before):
            cut_off |= not _all_admitted(policies, pod, door, seen.after)
    if names:
        yield Admission(str(policy), tuple(names), before, after, cut_off)


def _all_admitted(
    policies: Sequence[NetworkPolicy], pod: Pod, door: _Door, sources: dict[Address, None]
) -> bool:
    """Whether each address is admitted by some policy: they add up."""
    own = [policy for policy in policies if policy.selects(pod)]
    return all(any(p.admits(ip, pod, door.port, door.protocol) for p in own) for ip in sources)
