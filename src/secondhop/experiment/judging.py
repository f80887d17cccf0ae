"""Whether what a probe saw fits what was predicted, and what else it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from ..model.cluster import Cluster, Service
from ..model.fate import Fate, Seen
from ..model.flow import Destination
from ..model.probing import Judged, Prediction, Probe, Tried

_MISSED = 1e-5
"""By chance, an expected pod goes unseen less often than this."""
_BY_ICMP = {Fate.REJECTED, Fate.UNROUTABLE, Fate.LOOP}
_OUTSIDE = ("loadBalancerIP", "externalIP")


class Judge:
    """One Service of one cluster. sources_known: whether the addresses that masquerading writes
    can be predicted for its pod network."""

    def __init__(self, cluster: Cluster, service: Service, *, sources_known: bool) -> None:
        self._cluster = cluster
        self._service = service
        self._sources_known = sources_known
        self._translated: dict[str, set[str]] = {}

    def judge(self, rows: Iterable[tuple[Tried, tuple[Prediction, ...]]]) -> Probe:
        """All rows, and what they show together."""
        found = tuple(self._row(tried, predicted) for tried, predicted in rows)
        return Probe(found, tuple(self._remarks(found)))

    def _row(self, tried: Tried, predicted: tuple[Prediction, ...]) -> Judged:
        if not tried.reached:
            return Judged(tried, predicted, "not reached", _unreached(tried, predicted))
        if _settled(tried) == {Fate.UNROUTABLE} and not _says(predicted, Fate.UNROUTABLE):
            why = f"no way there from here: {tried.observed.evidence}"
            return Judged(tried, predicted, "not reached", why)
        if not predicted:
            return Judged(tried, predicted, "not predicted", _seen(tried))
        wrong = _fates(tried, predicted) or self._answers(tried, predicted)
        if wrong:
            return Judged(tried, predicted, "disagrees", wrong)
        return Judged(tried, predicted, "agrees", _why(tried, predicted))

    def _answers(self, tried: Tried, predicted: Sequence[Prediction]) -> str:
        """What is wrong with who answered, or with what they saw; empty for nothing."""
        seen, attempts = tried.observed.seen, tried.observed.attempts
        health = [one.outcome.http for one in predicted if one.outcome.http]
        if health:
            status = health[0].status
            return "" if status == tried.status else f"answers {tried.status}, not {status}"
        backends = [b for one in predicted for b in one.outcome.backends]
        pods = {b.pod for b in backends}
        strangers = sorted({one.pod for one in seen if one.pod} - pods)
        if strangers:
            return f"answered by {', '.join(strangers)}, which was not predicted"
        for one in seen:
            if wrong := self._source(
                tried, one, {str(b.source_ip) for b in backends if one.pod in ("", b.pod)}
            ):
                return wrong
        told = sum(count for one, count in seen.items() if one.pod)
        if len(predicted) == 1 and told == attempts and self._service.affinity_timeout is None:
            answered = {one.pod for one in seen}
            for backend in predicted[0].outcome.backends:
                if backend.pod not in answered and (1 - backend.share) ** attempts < _MISSED:
                    return f"{backend.pod} never answered, though its share is {backend.share:.0%}"
        return ""

    def _source(self, tried: Tried, one: Seen, expected: set[str]) -> str:
        if one.source_ip in expected:
            return ""
        own = str(tried.flow.source.ip)
        kept = own in expected
        outside = tried.flow.destination.kind in _OUTSIDE
        if kept and (outside or not self._of_cluster(one.source_ip)):
            self._translated.setdefault(one.source_ip, set()).add(str(tried.flow.destination))
            return ""
        if not self._sources_known:
            return ""
        return f"{one.pod or 'the pod'} saw {one.source_ip}, not {' or '.join(sorted(expected))}"

    def _of_cluster(self, text: str) -> bool:
        ip = ip_address(text)
        return any(ip in cidr for node in self._cluster.nodes for cidr in node.pod_cidrs) or any(
            ip == i.ip for node in self._cluster.nodes for i in node.addresses
        )

    def _remarks(self, rows: Sequence[Judged]) -> Iterator[str]:
        for ip, where in sorted(self._translated.items()):
            told = ", ".join(sorted(where))
            who = "a node or pod of the cluster" if self._of_cluster(ip) else "nobody here"
            yield (
                f"through {told} pods saw {ip} ({who}) where the client's address is kept:"
                " something in front of the nodes (a balancer that SNATs, a NAT) replaced it"
            )
        answered = [r for r in rows if r.tried.observed.fate is Fate.DELIVERED and _counts(r)]
        if answered and not any(row.tried.observed.seen for row in answered):
            yield (
                "no backend tells which pod it is or whom it saw, so only who answers was compared;"
                " --source-from 'REGEX' reads the source out of a page"
            )
        if not self._sources_known:
            yield "source addresses that a node writes were not compared: see the pod network above"


def _counts(row: Judged) -> bool:
    health = row.tried.flow.destination.kind == "healthCheckNodePort"
    return row.tried.reached and not health


def _says(predicted: Iterable[Prediction], fate: Fate) -> bool:
    return any(one.outcome.fate is fate for one in predicted)


def _fates(tried: Tried, predicted: Sequence[Prediction]) -> str:
    """What is wrong with the fate; empty for nothing."""
    expected = {one.outcome.fate for one in predicted}
    seen = _settled(tried)
    if seen <= expected or (Fate.MIXED in expected and Fate.DELIVERED in seen):
        return ""
    if seen == {Fate.CLOSED} and Fate.REJECTED in expected and "or ICMP" in tried.observed.evidence:
        return ""
    counts = ", ".join(f"{count} {fate}" for fate, count in tried.observed.fates.items())
    return f"{counts}; predicted {' or '.join(sorted(expected))}: {predicted[0].outcome.reason}"


def _settled(tried: Tried) -> set[Fate]:
    """The fates seen. Errors by ICMP are limited in number: silence beside them is one untold."""
    seen = set(tried.observed.fates)
    return seen - {Fate.DROPPED} if seen & _BY_ICMP else seen


def _unreached(tried: Tried, predicted: Sequence[Prediction]) -> str:
    ports = ", ".join(f"{c.port} ({c.what})" for c in tried.controls)
    if tried.intercepted:
        return (
            "connected, but so does a port that nobody has: something on the way (a proxy, a VPN)"
            " accepts every connection, and who answered here cannot be told"
        )
    drops = [one.outcome.reason for one in predicted if one.outcome.fate is Fate.DROPPED]
    expected = f"; predicted is a drop: {drops[0]}" if drops else ""
    inside = "; --from pod tries it from inside" if tried.flow.source.kind == "client" else ""
    return (
        f"silence, and as silent are its ports {ports}: nothing at this address answers here, so"
        " whether a rule dropped it or the way is closed (firewall, VPN, cloud network) cannot be"
        f" told from here{inside}{expected}"
    )


def _why(tried: Tried, predicted: Sequence[Prediction]) -> str:
    if tried.silent:
        heard = ", ".join(f"{c.port} ({c.what})" for c in tried.controls if c.answer != "silent")
        return f"{predicted[0].outcome.reason}; the address itself answers at {heard}"
    return _seen(tried) if len(predicted) > 1 else predicted[0].outcome.reason


def _seen(tried: Tried) -> str:
    where = _where(tried.flow.destination)
    if pods := sorted({one.pod for one in tried.observed.seen if one.pod}):
        return f"{where} was answered by {', '.join(pods)}"
    return f"{where}: {tried.observed.evidence or 'answered'}"


def _where(to: Destination) -> str:
    return {"loadBalancerIP": "the balancer's address"}.get(to.kind, str(to))
