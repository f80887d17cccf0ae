"""The experiment for a terminal: the verdict first, then a row and a reason for each trial."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from ..model.claim import Claim
from ..model.cluster import Policy, Service
from ..model.fate import Fate, Observation, Outcome, Trial
from ..model.flow import Flow
from ..model.version import KubeVersion
from .layout import WIDTH, WORDS, listed, of_version, table, wrapped


def experiment(
    service: Service,
    trials: Sequence[Trial],
    claims: Sequence[Claim],
    elapsed: float,
    version: KubeVersion,
) -> str:
    """Verdict, table, disagreements, claims. elapsed: seconds."""
    rows = [("POLICY", "THROUGH", "ANSWER", "POD SEES", "HOPS", "AS PREDICTED")]
    reasons = [""]
    for trial in trials:
        observed = trial.observed
        rows.append(
            (
                trial.policy,
                f"{trial.flow.destination.node} {trial.flow.destination}",
                _answer(observed),
                listed(sorted({seen.source_ip for seen in observed.seen})),
                listed(map(str, sorted(observed.hops))),
                "yes" if trial.agree else "NO",
            )
        )
        reasons.append(trial.predicted.reason)
    parts = [verdict(service, trials, elapsed, version), "", *table(rows, reasons)]
    for trial in trials:
        if not trial.agree:
            parts += ["", *_disagreement(trial)]
    if claims:
        parts += ["", *_claims(claims)]
    return "\n".join(parts)


def predictions(
    service: Service, rows: Sequence[tuple[Policy, Flow, Outcome]], version: KubeVersion
) -> str:
    """The same table where nothing could be observed."""
    cells = [("POLICY", "THROUGH", "PREDICTED", "POD WOULD SEE", "HOPS")]
    reasons = [""]
    for policy, flow, outcome in rows:
        cells.append(
            (
                policy,
                f"{flow.destination.node} {flow.destination}",
                WORDS[outcome.fate],
                listed(str(b.source_ip) for b in outcome.backends),
                listed(str(b.hops) for b in outcome.backends),
            )
        )
        reasons.append(outcome.reason)
    head = f"{service}: predicted, not observed {of_version(version)}"
    return "\n".join([head, "", *table(cells, reasons)])


def verdict(service: Service, trials: Sequence[Trial], elapsed: float, version: KubeVersion) -> str:
    """One sentence: who is lost under which policy, and whether prediction and packets agree."""
    told = "; ".join(_policy_verdict(p, trials) for p in dict.fromkeys(t.policy for t in trials))
    agreeing = sum(trial.agree for trial in trials)
    word = "agree" if agreeing == len(trials) else "DISAGREE"
    return "\n".join(
        textwrap.wrap(
            f"{service}: {told}. Prediction and packets {word}: {agreeing} of {len(trials)} rows,"
            f" in {elapsed:.2f} s. {of_version(version)}",
            WIDTH,
        )
    )


def _policy_verdict(policy: Policy, trials: Sequence[Trial]) -> str:
    rows = [trial for trial in trials if trial.policy == policy]
    lost = [t for t in rows if t.observed.fate is not Fate.DELIVERED]
    if not lost:
        kept = all(
            seen.source_ip == str(t.flow.source.ip) for t in rows for seen in t.observed.seen
        )
        client = "keeps the client's address" if kept else "hides the client's address"
        return f"{policy} serves through every node and {client}"
    fates = Counter(WORDS[t.observed.fate] for t in lost)
    nodes = ", ".join(dict.fromkeys(str(t.flow.destination.node) for t in lost))
    what = " or ".join(fates)
    if len(lost) == len(rows):
        return f"{policy} serves through no node: {what}"
    return f"{policy} loses what enters through {nodes}: {what}"


def _answer(observed: Observation) -> str:
    if observed.fate is Fate.MIXED:
        return ", ".join(f"{count} {WORDS[fate]}" for fate, count in observed.fates.items())
    return f"{WORDS[observed.fate]} {observed.attempts}/{observed.attempts}"


def _disagreement(trial: Trial) -> Iterable[str]:
    predicted, observed = trial.predicted, trial.observed
    yield (
        f"DISAGREE: {trial.policy} through {trial.flow.destination.node} ({trial.flow.destination})"
    )
    expected = ", ".join(f"{b.pod} seeing {b.source_ip}" for b in predicted.backends)
    yield from wrapped(f"predicted: {predicted.fate}" + (f" by {expected}" if expected else ""))
    saw = ", ".join(f"{s.pod} saw {s.source_ip} ({n})" for s, n in observed.seen.items())
    yield from wrapped(f"observed:  {observed.fate}" + (f"; {saw}" if saw else ""))
    if observed.evidence:
        yield from wrapped(f"evidence:  {observed.evidence}")


def _claims(claims: Sequence[Claim]) -> list[str]:
    found = ["What people say, judged by this run:"]
    for claim in claims:
        condition = f" ({claim.condition})" if claim.condition else ""
        found += textwrap.wrap(
            f"{claim.verdict:<7}  {claim.says}{condition}: {claim.because}",
            WIDTH - 2,
            initial_indent="  ",
            subsequent_indent=" " * 11,
        )
    return found
