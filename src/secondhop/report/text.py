"""The experiment for a terminal: the verdict first, then a row and a reason for each trial."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..model.claim import Claim
from ..model.cluster import Policy, Service
from ..model.fate import Fate, Observation, Outcome, Trial
from ..model.flow import Destination, Flow
from ..model.version import KubeVersion
from . import everything as every
from .layout import WORDS, few, help_for, listed, of_version, table, wrapped
from .placement import ONE_OF_MANY

_HEAD: tuple[str, ...] = ("POLICY", "THROUGH", "ANSWER", "POD SEES", "HOPS", "AS PREDICTED")


def experiment(
    service: Service,
    trials: Sequence[Trial],
    claims: Sequence[Claim],
    elapsed: float,
    version: KubeVersion,
    *,
    one_of_many: bool = False,
    everything: bool = False,
) -> Iterator[str]:
    """Verdict, table, disagreements, claims. elapsed: seconds. one_of_many: the manifests allow
    other placements of the pods. everything: the trials are of every source and destination."""
    reference = [trial for trial in trials if trial.flow.is_reference]
    yield from verdict(service, reference, version)
    agreeing = sum(trial.agree for trial in trials)
    if agreeing == len(trials):
        told = f"agree in {agreeing} of {len(trials)} rows"
    else:
        told = f"DISAGREE in {len(trials) - agreeing} of {len(trials)} rows"
    yield f"Prediction and packets {told} ({elapsed:.2f} s)."
    if one_of_many:
        told = f"The pods ran in {ONE_OF_MANY}; `secondhop explain` answers for all of them."
        yield from wrapped(told, "")
    yield ""
    if everything:
        yield from every.table(trials)
    else:
        reasons = (trial.predicted.reason for trial in trials)
        yield from table([_HEAD, *map(_row, trials)], ["", *reasons])
    for trial in trials:
        if not trial.agree:
            yield from ("", *_disagreement(trial))
    if claims:
        yield from ("", *_claims(claims))


def _row(trial: Trial) -> tuple[str, ...]:
    observed = trial.observed
    return (
        trial.policy,
        every.flow(trial.flow),
        _answer(observed),
        listed(sorted({seen.source_ip for seen in observed.seen})),
        listed(map(str, sorted(observed.hops))),
        "yes" if trial.agree else "NO",
    )


def predictions(
    service: Service, rows: Sequence[tuple[Policy, Flow, Outcome]], version: KubeVersion
) -> Iterator[str]:
    """The same table where nothing could be observed."""
    cells = [("POLICY", "THROUGH", "PREDICTED", "POD WOULD SEE", "HOPS")]
    reasons = [""]
    for policy, flow, outcome in rows:
        cells.append(
            (
                policy,
                every.flow(flow),
                WORDS[outcome.fate],
                listed(str(b.source_ip) for b in outcome.backends),
                listed(str(b.hops) for b in outcome.backends),
            )
        )
        reasons.append(outcome.reason)
    yield f"{service}: predicted, not observed {of_version(version)}"
    yield from ("", *table(cells, reasons))


def verdict(service: Service, trials: Sequence[Trial], version: KubeVersion) -> Iterator[str]:
    """Who is lost under which policy; what would help, if it is the Service's own."""
    told = "; ".join(_policy_verdict(p, trials) for p in dict.fromkeys(t.policy for t in trials))
    told = told or "no node port, so nothing enters it through a node's address"
    yield from wrapped(f"{service}: {told} {of_version(version)}", "")
    own = service.external_traffic_policy
    yield from wrapped(help_for(own, {t.observed.fate for t in trials if t.policy == own}), "")


def _policy_verdict(policy: Policy, trials: Sequence[Trial]) -> str:
    rows = [trial for trial in trials if trial.policy == policy]
    lost = [t for t in rows if t.observed.fate is not Fate.DELIVERED]
    if not lost:
        return f"{policy} serves through every node and {_client_ip(rows)}"
    fates = Counter(WORDS[t.observed.fate] for t in lost)
    one_port = len({(to.port, to.protocol, to.address.version) for to in _entrances(rows)}) == 1
    entries = (str(to.node) if one_port else every.named(to) for to in _entrances(lost))
    nodes = few(entries, f"of {len(rows)} {'nodes' if one_port else 'node ports'}")
    what = " or ".join(fates)
    if len(lost) == len(rows):
        return f"{policy} serves through no node: {what}"
    return f"{policy} loses what enters through {nodes}: {what}"


def _client_ip(rows: Sequence[Trial]) -> str:
    kept = [
        trial
        for trial in rows
        if all(seen.source_ip == str(trial.flow.source.ip) for seen in trial.observed.seen)
    ]
    if len(kept) == len(rows):
        return "keeps the client's address"
    if not kept:
        return "hides the client's address"
    nodes = few((str(t.flow.destination.node) for t in kept), f"of {len(rows)} nodes")
    return f"keeps the client's address only through {nodes}"


def _entrances(rows: Sequence[Trial]) -> list[Destination]:
    return [trial.flow.destination for trial in rows]


def _answer(observed: Observation) -> str:
    if observed.fate is Fate.MIXED:
        return ", ".join(f"{count} {WORDS[fate]}" for fate, count in observed.fates.items())
    return f"{WORDS[observed.fate]} {observed.attempts}/{observed.attempts}"


def _disagreement(trial: Trial) -> Iterable[str]:
    predicted, observed = trial.predicted, trial.observed
    yield f"DISAGREE: {trial.policy} through {every.flow(trial.flow)}"
    expected = ", ".join(f"{b.pod} seeing {b.source_ip}" for b in predicted.backends)
    yield from wrapped(f"predicted: {predicted.fate}" + (f" by {expected}" if expected else ""))
    saw = ", ".join(f"{s.pod} saw {s.source_ip} ({n})" for s, n in observed.seen.items())
    yield from wrapped(f"observed:  {observed.fate}" + (f"; {saw}" if saw else ""))
    if observed.evidence:
        yield from wrapped(f"evidence:  {observed.evidence}")


def _claims(claims: Sequence[Claim]) -> Iterator[str]:
    yield "What people say, judged by this run:"
    for claim in claims:
        condition = f"; provided that {claim.condition}" if claim.condition else ""
        told = f"{claim.verdict:<7}  {claim.says}: {claim.because}{condition}"
        yield from wrapped(told, "  ", " " * 11)
