"""`run --all` for a terminal: every source to every destination, predicted beside observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.fate import Fate, HealthAnswer, Trial
from ..model.flow import Destination, DestinationKind, Flow
from .layout import WORDS, columns, listed

_HEAD = ("TO", "FROM", "PREDICTED", "OBSERVED", "AGREE")
_KINDS: dict[DestinationKind, str] = {
    "nodePort": "",
    "loadBalancerIP": "LB ",
    "externalIP": "external ",
    "clusterIP": "cluster ",
    "healthCheckNodePort": "health ",
}


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """A table for each policy, in the order of the trials."""
    for number, policy in enumerate(dict.fromkeys(trial.policy for trial in trials)):
        yield from ("",) if number else ()
        yield f"externalTrafficPolicy: {policy}"
        for lines in columns([_HEAD, *(_row(t) for t in trials if t.policy == policy)]):
            yield from lines


def entrance(flow: Flow) -> str:
    """What is dialled, in words: `gz1 192.168.8.1:30316`, `LB 192.0.2.1:80 via gz1`."""
    to = flow.destination
    where = f"{_KINDS.get(to.kind, '')}{named(to)}"
    return f"{where} via {flow.via}" if flow.via else where


def flow(one: Flow) -> str:
    """The same, and who dials if it is not the client."""
    by = "" if one.source.kind == "client" else f" from {one.source.name}"
    return f"{entrance(one)}{by}"


def named(to: Destination) -> str:
    """An address and port, with the node whose they are, and the protocol unless it is TCP."""
    told = f"{to.node} {to}" if to.node else str(to)
    return told if to.protocol == "TCP" else f"{told}/{to.protocol}"


def _row(trial: Trial) -> tuple[str, ...]:
    predicted, observed = trial.predicted, trial.observed
    fates = observed.fates if observed.fate is Fate.MIXED else [observed.fate]
    return (
        entrance(trial.flow),
        trial.flow.source.name,
        _told([predicted.fate], (str(b.source_ip) for b in predicted.backends), predicted.http),
        _told(fates, (seen.source_ip for seen in observed.seen), observed.http),
        "yes" if trial.agree else "NO",
    )


def _told(fates: Iterable[Fate], sources: Iterable[str], http: HealthAnswer | None) -> str:
    """What the pod sees or the health check answers, or another fate."""
    if http is not None:
        return f"{http.status}, {http.local_endpoints} local"
    seen = sorted(set(sources))
    words = {Fate.DELIVERED: f"seen as {listed(seen)}"} if seen else {}
    return ", ".join((WORDS | words)[fate] for fate in fates)
