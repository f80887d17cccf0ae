"""What became of a flow, and why: predicted (Outcome) and seen (Observation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

from .cluster import Address, Policy
from .flow import Flow
from .placement import Certainty


class Fate(StrEnum):
    """What the network did. MIXED: attempts that differ; predicted only where the answers of some
    pods find no way back, and then the shares of the others sum to less than 1."""

    DELIVERED = "delivered"
    DROPPED = "dropped"
    REJECTED = "rejected"
    CLOSED = "closed"
    UNROUTABLE = "unroutable"
    LOOP = "loop"
    MIXED = "mixed"


ClientIP: TypeAlias = Literal["kept", "replaced"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod that may answer.

    address: `ip:port`. share: of fresh connections, 0..1. source_ip: what the pod sees.
    hops: cluster nodes the request crosses after entering; the entry node counts 1. 0 where a pod
    dials itself.
    """

    pod: str
    node: str | None
    address: str
    share: float
    source_ip: Address
    hops: int


@dataclass(frozen=True, slots=True)
class Step:
    """One decision on the way: where, what happened, the rule behind it (the object's field), and
    the chain to look for on a node of that proxy mode (empty where no rule of kube-proxy acted)."""

    node: str
    what: str
    rule: str
    chain: str = ""


class HealthAnswer(NamedTuple):
    """What a healthCheckNodePort answers."""

    status: int
    local_endpoints: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction. reason: one sentence in words; client_ip: None unless delivered, and `replaced`
    as soon as any backend sees another address than the source's. certainty: whether the fate is
    the same wherever pods that nobody has placed may end up; None where all have their places."""

    fate: Fate
    reason: str
    client_ip: ClientIP | None = None
    backends: tuple[Backend, ...] = ()
    steps: tuple[Step, ...] = ()
    http: HealthAnswer | None = None
    certainty: Certainty | None = None


class Seen(NamedTuple):
    """Which pod answered, and the source address it saw."""

    pod: str
    source_ip: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What packets did. seen counts the attempts that were answered; fates counts all of them;
    connect_ms: TCP handshake times of the delivered ones, in milliseconds; http: what a
    healthCheckNodePort answered; hops: cluster nodes that
    the requests crossed, as far as their TTL told, with counts."""

    fate: Fate
    attempts: int
    seen: Mapping[Seen, int] = field(default_factory=dict)
    fates: Mapping[Fate, int] = field(default_factory=dict)
    connect_ms: tuple[float, ...] = ()
    hops: Mapping[int, int] = field(default_factory=dict)
    evidence: str = ""
    http: HealthAnswer | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the experiment: a flow under a policy, predicted and observed. judged: whether
    they agree, where more than the two has been weighed."""

    policy: Policy
    flow: Flow
    predicted: Outcome
    observed: Observation
    judged: bool | None = None

    @property
    def agree(self) -> bool:
        """As judged. Else: same fate and, of a health check, same answer; every (pod, source
        address) seen was predicted; a predicted one that was not seen counts against it only if
        missing it by chance had probability below 1e-5. So it is with either part of a fate
        predicted as mixed."""
        if self.judged is not None:
            return self.judged
        if not self._same_fate or self.predicted.http != self.observed.http:
            return False
        expected = {Seen(b.pod, str(b.source_ip)): b.share for b in self.predicted.backends}
        if not self.observed.seen.keys() <= expected.keys():
            return False
        attempts = self.observed.attempts
        return all(
            (1 - share) ** attempts >= 1e-5
            for pair, share in expected.items()
            if pair not in self.observed.seen
        )

    @property
    def _same_fate(self) -> bool:
        if self.predicted.fate is not Fate.MIXED or self.observed.fate is Fate.MIXED:
            return self.predicted.fate is self.observed.fate
        answered = sum(backend.share for backend in self.predicted.backends)
        parts = {Fate.DELIVERED: answered, Fate.DROPPED: 1 - answered}
        return parts.get(self.observed.fate, 0.0) ** self.observed.attempts >= 1e-5
