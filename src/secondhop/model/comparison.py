"""The trade-off measured: what each policy gave, at rest and while something broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .claim import Claim
from .cluster import Policy
from .failover import Phase
from .fate import ClientIP, Fate, Seen
from .version import KubeVersion

Event: TypeAlias = Literal["node dies", "pod dies", "rollout", "drain"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What was measured. nodes: the pods of the Service by node, at the start. balancer: `ecmp` or
    `single-node`; interval, seconds, and threshold: of its health checks. grace: seconds until the
    control plane takes a dead node's pods for unready. rate: connections a second, per policy."""

    service: str
    nodes: Mapping[str, tuple[str, ...]]
    client: str
    mode: str
    balancer: str
    interval: float
    threshold: int
    grace: float
    rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Speed:
    """connect_ms: TCP handshakes, ascending, in milliseconds. per_second: connections with a
    request each, back to back."""

    connect_ms: tuple[float, ...]
    per_second: float


@dataclass(frozen=True, slots=True)
class Rest:
    """A policy while nothing happens. fates: of all connections; seen: of those that were
    answered. predicted: share by pod. p_value: of a chi-square test of the pods' counts against it.
    hops: cluster nodes crossed, with counts. speed: through the balancer."""

    policy: Policy
    fates: Mapping[Fate, int]
    seen: Mapping[Seen, int]
    predicted: Mapping[str, float]
    p_value: float
    client_ip: ClientIP
    hops: Mapping[int, int]
    speed: Speed

    @property
    def pods(self) -> Mapping[str, int]:
        """Answers by pod."""
        found = Counter[str]()
        for seen, count in self.seen.items():
            found[seen.pod] += count
        return found

    @property
    def imbalance(self) -> float:
        """The busiest pod's share, in even shares: 1 is even."""
        pods = self.pods
        return max(pods.values()) * len(self.predicted) / sum(pods.values()) if pods else 0.0


class Sample(NamedTuple):
    """One connection. at: seconds since the event, negative before it. pod: who answered; empty:
    nobody, within a second."""

    at: float
    pod: str


class Mark(NamedTuple):
    """Something that was noticed. at: seconds since the event."""

    at: float
    what: str


class Judged(NamedTuple):
    """A time in which a certain loss was predicted, and the one that was seen. since, until:
    seconds since the event. p_value: of so many lost, or a likelier count, if the prediction holds
    (exact binomial test, both sides)."""

    since: float
    until: float
    predicted: float
    sent: int
    lost: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A policy while something broke. subject: what it happened to. expected: predicted phases, as
    of `Failover`; none where nothing but `no loss` or `some loss` can be predicted."""

    policy: Policy
    event: Event
    subject: str
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]
    expected: tuple[Phase, ...] = ()
    judged: tuple[Judged, ...] = ()
    agree: bool = True

    @property
    def after(self) -> tuple[Sample, ...]:
        """The connections since the event."""
        return tuple(sample for sample in self.samples if sample.at >= 0)

    @property
    def lost(self) -> tuple[Sample, ...]:
        """Those of them that nobody answered."""
        return tuple(sample for sample in self.after if not sample.pod)

    @property
    def window(self) -> tuple[float, float] | None:
        """Seconds from the event to the first and the last loss; None without one."""
        lost = self.lost
        return (lost[0].at, lost[-1].at) if lost else None

    @property
    def answered(self) -> Mapping[str, int]:
        """Who answered from the event on, with counts."""
        return Counter(sample.pod for sample in self.after if sample.pod)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything. direct: the pods dialled without a Service, as the measure of speed."""

    setup: Setup
    version: KubeVersion
    direct: Speed
    rest: tuple[Rest, ...]
    disturbances: tuple[Disturbance, ...]
    claims: tuple[Claim, ...]
    elapsed: float
    notes: tuple[str, ...] = ()

    @property
    def agree(self) -> bool:
        """Whether everything that was predicted was seen, within the sampling error."""
        likely = all(one.p_value >= SIGNIFICANCE for one in self.rest)
        return likely and all(one.agree for one in self.disturbances)


SIGNIFICANCE = 1e-3
"""A difference that chance makes less often than this is a disagreement."""
