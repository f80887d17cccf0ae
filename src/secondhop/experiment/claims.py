"""What people say of the two policies, judged by what the experiment saw.

A claim is judged only if the trials can tell; each verdict carries the measurement behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ..model.claim import Claim, Verdict
from ..model.cluster import Cluster, Endpoint, Family, Policy, Protocol, Service
from ..model.fate import Fate, Trial
from .chance import chi_square


class _Entrance(NamedTuple):
    """A node port of one family."""

    port: int
    protocol: Protocol
    family: Family

    @classmethod
    def of(cls, trial: Trial) -> _Entrance:
        """That which a row tries."""
        to = trial.flow.destination
        return cls(to.port, to.protocol, to.address.version)

    def __str__(self) -> str:
        protocol = "" if self.protocol == "TCP" else f"/{self.protocol}"
        return f"port {self.port}{protocol}" + (" over IPv6" if self.family == 6 else "")


@dataclass(frozen=True, slots=True)
class _Case:
    """The rows of one experiment, in the ways in which claims ask for them."""

    cluster: Cluster
    trials: Sequence[Trial]
    usable: Mapping[_Entrance, Sequence[Endpoint]]
    """The endpoints that may serve: ready ones, and those that end but serve."""
    held: tuple[int, int]
    """Connections that outlived the change of policy, and how many there were."""

    def under(self, policy: Policy, *, answered: bool = False) -> list[Trial]:
        """The rows of a policy whose port has endpoints at all: none anywhere is another matter."""
        return [
            trial
            for trial in self.trials
            if trial.policy == policy
            and self.usable[_Entrance.of(trial)]
            and (trial.observed.seen or not answered)
        ]

    def holding(self, trial: Trial) -> int:
        """How many usable endpoints the row's entry node holds."""
        entry = trial.flow.destination.node
        return sum(endpoint.node == entry for endpoint in self.usable[_Entrance.of(trial)])


_LEAST, _NAMED = 5, 6
_BY_CHANCE = 1e-5
"""Shares that chance makes less often are not even."""
_Finding: TypeAlias = tuple[bool, str] | None
_Judge: TypeAlias = Callable[[_Case], _Finding]


def judge(
    cluster: Cluster, service: Service, trials: Sequence[Trial], held: tuple[int, int]
) -> list[Claim]:
    """Every claim that these trials can judge, in the order of product.md.

    held: how many connections from before the change of policy still answered, and of how many.
    """
    families: tuple[Family, ...] = (4, 6)
    usable = {
        _Entrance(port.node_port, port.protocol, family): [
            endpoint
            for endpoint in cluster.endpoints_of(service, port, family)
            if endpoint.ready or (endpoint.serving and endpoint.terminating)
        ]
        for port in service.ports
        for family in families
    }
    case = _Case(cluster, trials, usable, held)
    found = []
    for name, (says, condition, judged) in _CLAIMS.items():
        if finding := judged(case):
            holds, because = finding
            verdict: Verdict = "false" if not holds else "true if" if condition else "true"
            found.append(Claim(name, says, verdict, condition if holds else "", because))
    return found


def _even(case: _Case) -> _Finding:
    """By port, and only where chance leaves something to judge: five connections a pod or more."""
    told, even = [], True
    for entrance, endpoints in case.usable.items():
        counts = Counter[str]()
        for trial in case.under("Cluster", answered=True):
            if _Entrance.of(trial) == entrance:
                for seen, count in trial.observed.seen.items():
                    counts[seen.pod] += count
        pods = sorted({e.pod for e in endpoints if e.ready} | counts.keys())
        if len(pods) < 2 or counts.total() < _LEAST * len(pods):
            continue
        even &= chi_square(counts, dict.fromkeys(pods, 1 / len(pods))) >= _BY_CHANCE
        if len(pods) <= _NAMED:
            shares = ", ".join(f"{pod} {counts[pod]}" for pod in pods)
        else:
            each = [counts[pod] for pod in pods]
            shares = f"{len(pods)} pods {min(each)} to {max(each)} each"
        told.append(f"of {counts.total()} connections to {entrance}: {shares}")
    return (even, "; ".join(told)) if told else None


def _any_node(case: _Case) -> _Finding:
    rows = case.under("Cluster")
    served = [t for t in rows if t.observed.fate is Fate.DELIVERED]
    if not served:
        return None
    return len(served) == len(rows), f"{len(served)} of {len(rows)} node addresses answered"


def _second_hop(case: _Case) -> _Finding:
    """Hops are read off the TTL with which the SYN reached the pod."""
    here, elsewhere = set[int](), set[int]()
    for trial in case.under("Cluster", answered=True):
        if not case.holding(trial):
            elsewhere.update(trial.observed.hops)
        elif case.holding(trial) == len(case.usable[_Entrance.of(trial)]):
            here.update(trial.observed.hops)
    if not here or not elsewhere:
        return None
    told = f"by TTL {_listed(here)} with the pod on the entry node, {_listed(elsewhere)} elsewhere"
    return here == {1} and elsewhere == {2}, told


def _listed(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def _node_ip(case: _Case) -> _Finding:
    rows = case.under("Cluster", answered=True)
    if not rows:
        return None
    sources = {seen.source_ip for trial in rows for seen in trial.observed.seen}
    nodes = {str(i.ip) for node in case.cluster.nodes for i in node.addresses}
    return sources <= nodes, f"pods saw {', '.join(sorted(sources))}"


def _client_ip_lost(case: _Case) -> _Finding:
    return _saw_client(case, "Cluster", wanted=False)


def _local_keeps(case: _Case) -> _Finding:
    return _saw_client(case, "Local", wanted=True)


def _local_loses(case: _Case) -> _Finding:
    return _saw_client(case, "Local", wanted=False)


def _saw_client(case: _Case, policy: Policy, *, wanted: bool) -> _Finding:
    rows = case.under(policy, answered=True)
    if not rows:
        return None
    saw = sum(
        count
        for trial in rows
        for seen, count in trial.observed.seen.items()
        if seen.source_ip == str(trial.flow.source.ip)
    )
    total = sum(sum(trial.observed.seen.values()) for trial in rows)
    return saw == (total if wanted else 0), f"{saw} of {total} connections showed the client"


def _local_drops(case: _Case) -> _Finding:
    empty = [t for t in case.under("Local") if not case.holding(t)]
    if not empty or not case.under("Local", answered=True):
        return None
    dropped = [t for t in empty if t.observed.fate is Fate.DROPPED]
    names = ", ".join(dict.fromkeys(str(t.flow.destination.node) for t in empty))
    return len(dropped) == len(empty), f"{len(dropped)} of {len(empty)} such nodes ({names})"


def _local_uneven(case: _Case) -> _Finding:
    """Each row has the same number of attempts, as from a balancer that counts nodes, not pods."""
    rows = case.under("Local", answered=True)
    per_pod = {
        str(t.flow.destination.node): t.observed.attempts / pods
        for t in rows
        if (pods := case.holding(t))
    }
    if len(per_pod) < 2 or len(set(per_pod.values())) == 1:
        return None
    told = ", ".join(f"{node} {each:g} for each pod" for node, each in per_pod.items())
    return True, f"the same number of connections to each node gave {told}"


def _cuts(case: _Case) -> _Finding:
    alive, total = case.held
    if not total:
        return None
    return alive < total, f"{alive} of {total} from before the patch still answered after it"


_CLAIMS: dict[str, tuple[str, str, _Judge]] = {
    "even-spread": (
        "under Cluster the pods get equal shares",
        "connections are counted, not requests",
        _even,
    ),
    "any-node-serves": ("under Cluster any node serves", "", _any_node),
    "second-hop": ("Cluster costs an extra hop only when the pod is elsewhere", "", _second_hop),
    "source-is-node-ip": (
        "under Cluster the source becomes the node's IP",
        "the route to the pod leaves by the node's own interface",
        _node_ip,
    ),
    "cluster-loses-client-ip": (
        "under Cluster the client IP is lost",
        "the pod is not a hostNetwork pod of the entry node",
        _client_ip_lost,
    ),
    "local-keeps-client-ip": (
        "Local keeps the client IP",
        "no balancer in front replaces it",
        _local_keeps,
    ),
    "local-loses-client-ip": ("Local loses the client IP", "", _local_loses),
    "local-drops": (
        "under Local a node without a ready pod drops",
        "the client is outside and an endpoint exists elsewhere",
        _local_drops,
    ),
    "local-uneven": (
        "under Local the pods get unequal shares",
        "the balancer in front counts nodes, not endpoints",
        _local_uneven,
    ),
    "change-cuts-connections": ("changing the policy cuts live connections", "", _cuts),
}
