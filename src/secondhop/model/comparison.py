"""The trade-off measured: what each policy gave, at rest and while something broke."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from .claim import Claim
from .cluster import Policy
from .failover import Phase
from .fate import ClientIP, Fate, Seen, Trial
from .version import KubeVersion

Event: TypeAlias = Literal["node dies", "pod dies", "rollout", "drain"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What was measured. nodes: the pods of the Service by node, at the start. balancer: `ecmp` or
    `single-node`; interval, seconds, and threshold: of its health checks. grace: seconds until the
    control plane takes a dead node's pods for unready. rate, rest_rate: connections a second that
    were wanted under each policy, while something breaks and at rest."""

    service: str
    nodes: Mapping[str, tuple[str, ...]]
    client: str
    mode: str
    balancer: str
    interval: float
    threshold: int
    grace: float
    rate: float
    rest_rate: float
    seed: int


@dataclass(frozen=True, slots=True)
class Speed:
    """connect_ms: TCP handshakes, back to back, in milliseconds, ascending."""

    connect_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Handshakes a second. The slowest hundredth is left out: in one of them the machine may
        have done something else for as long as all the others took."""
        kept = self.connect_ms[: max(1, len(self.connect_ms) * 99 // 100)]
        return 1000 * len(kept) / sum(kept) if kept else 0.0

    def quantile(self, fraction: float) -> float:
        """The nearest-rank quantile of the handshakes, in milliseconds; 0 without any."""
        last = len(self.connect_ms) - 1
        return self.connect_ms[min(last, int(fraction * (last + 1)))] if last >= 0 else 0.0


@dataclass(frozen=True, slots=True)
class Rest:
    """A policy while nothing happens. fates: of all connections, as far as the client can tell
    (MIXED: no answer); seen: of those that were answered. predicted: share by pod, of all that
    are ready. p_value: the least of those of the pods' counts (chi-square) and of what nobody
    answered (binomial). hops: cluster nodes crossed, with counts. speed: through
    the balancer."""

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
    def agree(self) -> bool:
        """Whether the shares are not too unlikely by their prediction."""
        return self.p_value >= SIGNIFICANCE

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
    of `Failover`; foretold: what is predicted in words, where there are none. judged: against the
    phases, or against an end of all loss."""

    policy: Policy
    event: Event
    subject: str
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]
    expected: tuple[Phase, ...] = ()
    foretold: str = ""
    judged: tuple[Judged, ...] = ()

    @property
    def agree(self) -> bool:
        """Whether nothing that was seen is too unlikely."""
        return all(one.p_value >= SIGNIFICANCE for one in self.judged)

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
    def instead(self) -> Mapping[str, int]:
        """Who answered between the first loss and the last, with counts; without any, from the
        event on."""
        first, last = self.window or (0.0, math.inf)
        return Counter(s.pod for s in self.after if s.pod and first <= s.at <= last)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything. direct: the pods dialled without a Service, as the measure of speed. trials: the
    rows of an experiment with the same pods, behind which the claims about single flows stand."""

    setup: Setup
    version: KubeVersion
    direct: Speed
    rest: tuple[Rest, ...]
    disturbances: tuple[Disturbance, ...]
    trials: tuple[Trial, ...]
    claims: tuple[Claim, ...]
    elapsed: float
    notes: tuple[str, ...] = ()

    @property
    def agree(self) -> bool:
        """Whether everything that was predicted was seen, within the sampling error."""
        return not self.disagreements

    @property
    def disagreements(self) -> Sequence[Rest | Disturbance | Trial]:
        """What was seen and too unlikely by its prediction."""
        return [one for one in self.predictions if not one.agree]

    @property
    def predictions(self) -> Sequence[Rest | Disturbance | Trial]:
        """All that was predicted, and seen or not."""
        return [*self.rest, *self.disturbances, *self.trials]

    def usual_window(self, one: Disturbance) -> float | None:
        """When the last loss would be with the node grace that Kubernetes has if nobody says
        otherwise, in seconds; None where the grace has no part in it."""
        waited = any(p.until == self.setup.grace and p.lost for p in one.expected)
        if one.window is None or not waited:
            return None
        return one.window[1] - self.setup.grace + USUAL_GRACE


USUAL_GRACE = 50.0
"""Seconds until a silent node's pods are unready with Kubernetes' own settings (semantics §14)."""
SIGNIFICANCE = 1e-4
"""A difference that chance makes less often than this is a disagreement."""
STRAY = 0.01
"""The part of connections that a machine which has other things to do may lose by itself: where
nothing is predicted to be lost, only more than this counts."""
