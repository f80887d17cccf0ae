"""What people say of the two policies, judged by a whole comparison: the claims of `run`, and those
that take a balancer, a disturbance or other Services to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..model.claim import Claim, Verdict
from ..model.cluster import Cluster, Policy, Service
from ..model.comparison import SIGNIFICANCE, STRAY, USUAL_GRACE, Disturbance, Rest
from ..model.fate import Fate, Trial
from .chance import chi_square, losses
from .claims import judge
from .exhibits import Exhibits
from .foresight import SETTLE


@dataclass(frozen=True, slots=True)
class Measured:
    """What the claims are judged by. held: connections that outlived the change of policy, and how
    many there were. weighted: the busiest pod's share under Local, in even shares, that is
    predicted behind a balancer which heeds weights."""

    exhibits: Exhibits | None
    trials: Sequence[Trial]
    held: tuple[int, int]
    rest: Sequence[Rest]
    disturbances: Sequence[Disturbance]
    grace: float
    weighted: float | None

    def at_rest(self, policy: Policy) -> Rest | None:
        """A policy's, if it was measured."""
        return next((one for one in self.rest if one.policy == policy), None)


def claims(found: Measured) -> list[Claim]:
    """Every claim that can be judged, in the order of product.md."""
    judged = {claim.id: claim for claim in _of_run(found)}
    for name, (says, condition, judge_by) in _CLAIMS.items():
        if finding := judge_by(found):
            holds, because = finding
            verdict: Verdict = "false" if not holds else "true if" if condition else "true"
            judged[name] = Claim(name, says, verdict, condition if holds else "", because)
    return [judged[name] for name in _ORDER if name in judged]


def _of_run(found: Measured) -> Iterable[Claim]:
    """The reference experiment's, with one pod."""
    if found.exhibits is None:
        return ()
    own = [t for t in found.trials if t.flow.is_reference and _to(t, found.exhibits.one)]
    cluster: Cluster = found.exhibits.world.cluster
    return judge(cluster, found.exhibits.one, own, found.held)


_UNEVEN = 0.01
"""Even shares are refuted if chance makes them so uneven less often than this."""
_Finding: TypeAlias = tuple[bool, str] | None


def _even(found: Measured) -> _Finding:
    one = found.at_rest("Cluster")
    if one is None or len(one.predicted) < 2:
        return None
    p_value = chi_square(one.pods, dict.fromkeys(one.predicted, 1 / len(one.predicted)))
    return p_value >= SIGNIFICANCE, f"{_counts(one.pods)} (chi-square p = {p_value:.2g})"


def _survives(found: Measured) -> _Finding:
    """Whether anything is lost once a dead node is known to be dead."""
    of = (one for one in found.disturbances if one.event == "node dies")
    one = next((one for one in of if one.policy == "Cluster"), None)
    if one is None:
        return None
    known = found.grace + 2 * SETTLE
    later = [sample for sample in one.after if sample.at > known]
    lost = sum(not sample.pod for sample in later)
    before = len(one.lost) - lost
    told = f"{before} of {len(one.after) - len(later)} lost while nobody knew (node grace"
    told += (
        f" {found.grace:g} s; Kubernetes' own is {USUAL_GRACE:g} s), {lost} of {len(later)} later"
    )
    return bool(later) and losses(lost, len(later), 0.0, STRAY) >= SIGNIFICANCE, told


def _uneven(found: Measured) -> _Finding:
    one = found.at_rest("Local")
    if one is None or len(one.predicted) < 2:
        return None
    p_value = chi_square(one.pods, dict.fromkeys(one.predicted, 1 / len(one.predicted)))
    told = f"{_counts(one.pods)}: the busiest pod got {one.imbalance:.2f} of an even share"
    if found.weighted is not None:
        told += f", {found.weighted:.2f} predicted with X-Load-Balancing-Endpoint-Weight"
    return p_value < _UNEVEN, told


def _counts(pods: Mapping[str, int]) -> str:
    most, named = 6, sorted(pods.items())
    if len(named) > most:
        return f"{len(named)} pods got {min(pods.values())} to {max(pods.values())} each"
    return f"pods got {', '.join(str(count) for _, count in named)} of {sum(pods.values())}"


def _rejects(found: Measured) -> _Finding:
    rows = _rows(found, lambda e: e.nobody)
    return _all(rows, Fate.REJECTED, "refused") if rows else None


def _ending(found: Measured) -> _Finding:
    """Through the node where the pod is that ends."""
    home = found.exhibits and found.exhibits.home.node
    rows = [t for t in _rows(found, lambda e: e.ending) if t.flow.destination.node == home]
    return _all(rows, Fate.DELIVERED, "served") if rows else None


def _short_circuit(found: Measured) -> _Finding:
    rows = [t for t in _rows(found, lambda e: e.one) if t.flow.source.kind != "client"]
    return _all(rows, Fate.DELIVERED, "reached a pod elsewhere") if rows else None


def _only_two(found: Measured) -> _Finding:
    """A way in for a Service of another type refutes it."""
    rows = [t for t in found.trials if t.flow.destination.kind == "externalIP"]
    inside = [t for t in found.trials if t.flow.destination.kind == "clusterIP"]
    if not rows:
        return None
    _, told = _all(rows, Fate.DELIVERED, "answered")
    _, closed = _all(inside, Fate.UNROUTABLE, "led nowhere")
    served = any(t.observed.seen for t in rows)
    return not served, f"a ClusterIP Service's external IP: {told}; its cluster IP: {closed}"


def _rows(found: Measured, of: Callable[[Exhibits], Service]) -> list[Trial]:
    """Under Local, to one of the exhibits."""
    if found.exhibits is None:
        return []
    service = of(found.exhibits)
    return [t for t in found.trials if t.policy == "Local" and _to(t, service)]


def _to(trial: Trial, service: Service) -> bool:
    """Whether it went to a node port of this Service."""
    return trial.flow.destination.port == service.ports[0].node_port


def _all(rows: Sequence[Trial], fate: Fate, verb: str) -> tuple[bool, str]:
    attempts = sum(t.observed.attempts for t in rows)
    good = sum(t.observed.fates.get(fate, 0) for t in rows)
    return good == attempts, f"{good} of {attempts} connections {verb}"


_CLAIMS: Mapping[str, tuple[str, str, Callable[[Measured], _Finding]]] = {
    "even-spread": (
        "under Cluster the pods get equal shares",
        "connections are counted, not requests",
        _even,
    ),
    "survives-node-death": (
        "Cluster survives a node's death",
        "the control plane has noticed: until then live nodes go on to the dead pods",
        _survives,
    ),
    "nobody-rejects": (
        "under Local a Service without any endpoint refuses, it does not drop",
        "",
        _rejects,
    ),
    "ending-serves": ("under Local a pod that ends but still serves is used", "", _ending),
    "local-short-circuit": (
        "under Local pods and nodes reach it by a node without a pod",
        "",
        _short_circuit,
    ),
    "local-uneven": (
        "under Local the pods get unequal shares",
        "the balancer in front counts nodes, not endpoints",
        _uneven,
    ),
    "only-node-port-and-load-balancer": (
        "only NodePort and LoadBalancer Services receive outside traffic",
        "",
        _only_two,
    ),
}
_ORDER = (
    "even-spread",
    "any-node-serves",
    "survives-node-death",
    "second-hop",
    "source-is-node-ip",
    "cluster-loses-client-ip",
    "local-keeps-client-ip",
    "local-loses-client-ip",
    "local-drops",
    "nobody-rejects",
    "ending-serves",
    "local-short-circuit",
    "local-uneven",
    "only-node-port-and-load-balancer",
    "change-cuts-connections",
)
