"""The experiment on a real cluster, on objects of its own: probe, patch, probe, compare."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import ClusterError
from ..live.dialling import Dialler, Line, own_address
from ..live.experiment import patch
from ..live.kubectl import Kubectl
from ..live.probing import probe, settle
from ..manifests import with_policy
from ..model.cluster import Cluster, Service
from ..model.fate import Fate, Observation, Outcome, Trial
from ..model.flow import Destination, Flow, Source
from ..model.probing import Judged, Prediction
from .entrances import Entrance, entrances, expected, sender
from .events import Applied, Event, Held, Probed
from .judging import Judge
from .plan import BOTH

_SETTLE_SECONDS = 20.0


@dataclass
class OnStage:
    """One experiment. controls: see live.probing. notes: what it could not do, when it is over."""

    kubectl: Kubectl
    cluster: Cluster
    service: Service
    external: Mapping[str, Sequence[str]]
    controls: dict[int, str]
    dialler: Dialler
    attempts: int
    sources_known: bool
    notes: list[str] = field(default_factory=list)

    def run(self) -> Iterator[Event]:
        """Step by step. ClusterError if nothing can be reached from here."""
        ways = [*self._ways()]
        self._settle({entrance.destination: None for entrance, _ in ways})
        lines: list[tuple[Line, Destination]] = []
        before: dict[Destination, Observation | None] = {}
        for number, policy in enumerate(BOTH):
            cluster = with_policy(self.cluster, self.service, policy)
            if number:
                patch(self.kubectl, self.service.namespace, policy)
                self._settle(before)
            yield Applied(policy, cluster)
            if number:
                yield Held(asyncio.run(self._alive(lines)), len(lines))
            rows = self._rows(cluster, ways)
            ways = [way for way, row in zip(ways, rows, strict=True) if row.tried.reached]
            for row in rows:
                if row.verdict == "not reached":
                    self.notes.append(f"{row.tried.flow.destination} left out: {row.because}")
                    continue
                flow, observed = row.tried.flow, row.tried.observed
                before[flow.destination] = observed
                trial = Trial(policy, flow, _told(row), observed, row.verdict != "disagrees")
                yield Probed(trial, row.tried.page)
            if not ways:
                raise _out_of_reach(len(rows))
            if not number:
                lines = asyncio.run(self._hold(before))
        patch(self.kubectl, self.service.namespace, BOTH[0])

    def _ways(self) -> Iterator[tuple[Entrance, Source]]:
        """Every entrance to which this machine knows a way, and as whom it sends there."""
        for entrance in entrances(self.cluster, self.service, self.external):
            own = own_address(entrance.destination.address)
            if own is not None and entrance.destination.kind != "healthCheckNodePort":
                yield entrance, sender(self.cluster, own)

    def _settle(self, before: Mapping[Destination, Observation | None]) -> None:
        late = asyncio.run(settle(self.dialler, before, _SETTLE_SECONDS))
        known = [to for to in late if before[to] is not None]
        if known:
            names = ", ".join(map(str, known))
            self.notes.append(f"no change within {_SETTLE_SECONDS:g} s after the patch at {names}")

    def _rows(
        self, cluster: Cluster, ways: Sequence[tuple[Entrance, Source]]
    ) -> tuple[Judged, ...]:
        flows = [(Flow(source, entrance.destination), entrance.node) for entrance, source in ways]
        tried = asyncio.run(probe(self.dialler, flows, self.controls, self.attempts))
        told = [expected(cluster, source, entrance) for entrance, source in ways]
        judge = Judge(cluster, self.service, sources_known=self.sources_known)
        found = judge.judge(zip(tried, told, strict=True))
        self.notes += [remark for remark in found.remarks if remark not in self.notes]
        return found.rows

    async def _hold(
        self, seen: Mapping[Destination, Observation | None]
    ) -> list[tuple[Line, Destination]]:
        """A connection to each address that served, kept open."""
        served = [to for to, one in seen.items() if one and one.fate is Fate.DELIVERED]
        lines = await asyncio.gather(*(self.dialler.hold(to) for to in served))
        return [(line, to) for line, to in zip(lines, served, strict=True) if line]

    async def _alive(self, lines: Sequence[tuple[Line, Destination]]) -> int:
        """How many of them still answer; ends them all."""
        alive = await asyncio.gather(*(self.dialler.holds(line, to) for line, to in lines))
        for line, _ in lines:
            line.close()
        return sum(alive)


def _told(row: Judged) -> Outcome:
    """The prediction to show; where the network decides by which node, one that came true."""
    fits: Sequence[Prediction] = [
        one for one in row.predicted if one.outcome.fate is row.tried.observed.fate
    ]
    told = (fits or row.predicted)[0].outcome
    return told if len(row.predicted) == 1 else replace(told, reason=row.because)


def _out_of_reach(count: int) -> ClusterError:
    return ClusterError(
        f"none of {count} addresses can be reached from here",
        "Try from a machine on the nodes' network; `secondhop probe svc/NAME --from pod` looks from"
        " inside.",
        "Unreachable",
    )
