"""Requirements: what they ask, and whether it holds for certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..errors import Problem, UsageError
from ..model.fate import Fate
from ..model.finding import Holds, Requirement, Where
from ..model.placement import Outlook
from ..predict.placement import largest_share
from ..predict.remedy import SPREAD
from . import placement
from .case import Case, named, place

_ROUNDING = 1e-9


class Asked(NamedTuple):
    """A requirement as asked for. most: the limit of max-share; 1 for the others."""

    name: str
    most: float = 1.0

    def __str__(self) -> str:
        return f"{self.name}={self.most:g}" if self.name == "max-share" else self.name


Answer: TypeAlias = tuple[Holds, str]

_SAYS: Mapping[str, str] = {
    "client-ip": "client-ip: pods see the client's address, whichever way it enters",
    "no-blackhole": "no-blackhole: no entry drops or refuses",
    "max-share": "max-share=0.5: no pod gets more of the connections",
    "valid": "valid: every object is well formed, and the API server takes every Service",
}


def read_requirements(texts: Sequence[str]) -> tuple[Asked, ...]:
    """The requirements that `--require` names, each once. Raises UsageError."""
    words = [word.strip() for text in texts for word in text.split(",")]
    return tuple(dict.fromkeys(_read(word) for word in words))


def _read(word: str) -> Asked:
    name, equals, value = word.partition("=")
    if name not in _SAYS:
        raise UsageError(
            f"--require: there is no requirement {word!r}",
            "Known are " + "; ".join(_SAYS.values()) + ".",
        )
    if name != "max-share":
        if equals:
            raise UsageError(f"--require: {name} takes no value", f"Write {name} alone.")
        return Asked(name)
    try:
        most = float(value)
    except ValueError:
        most = 0.0
    if not 0 < most <= 1:
        wrong = f"{value!r} is not a fraction above 0 and up to 1"
        raise UsageError(
            f"--require: {wrong if value else f'{word!r} has no share'}",
            "Write a fraction, for example max-share=0.5.",
        )
    return Asked(name, most)


def judge(
    asked: Sequence[Asked], cases: Sequence[Case], problems: Sequence[Problem]
) -> Iterator[Requirement]:
    """Each requirement of each Service that outside traffic can enter. Where there is nothing to
    judge, or it is broken, it does not hold."""
    for one in asked:
        if problems:
            objects = len({problem.subject for problem in problems})
            plural = "s of the input are" if objects > 1 else " of the input is"
            why = f"{objects} object{plural} not valid; mend that first."
            where = Where(problems[0].file, problems[0].line)
            yield Requirement(one.name, str(one), "input", "no", why, where)
        elif one.name == "valid":
            why = "every object is well formed, and the API server takes every Service."
            yield Requirement(one.name, str(one), "input", "certain", why)
        else:
            yield from _of_services(one, cases)


def _of_services(one: Asked, cases: Sequence[Case]) -> Iterator[Requirement]:
    judged = [case for case in cases if _open(case)]
    for case in judged:
        holds, why = _JUDGES[one.name](case, one)
        where = place(case.resource)
        yield Requirement(one.name, str(one), str(case.resource), holds, why, where)
    if not judged:
        why = "there is no Service that outside traffic can enter, so nothing to judge."
        yield Requirement(one.name, str(one), "input", "no", why)


def _open(case: Case) -> bool:
    """Whether it is meant to be entered from outside."""
    service = case.service
    return service.type in ("NodePort", "LoadBalancer") or bool(service.external_ips)


def _unentered(case: Case) -> Answer:
    """Of a Service through no entry of which the balancer sends."""
    if case.entries:
        return "no", f"{case.around.balancer} finds no healthy node to send to."
    return "no", "kube-proxy serves no entry of it: no node port, no IP in its status."


def _shut_in(case: Case, *, all_pods: bool = True) -> Answer | None:
    """Where pods may land that the balancer does not reach. all_pods: only if all of them may."""
    outlook, shut = case.outlook, case.shut_in
    if outlook is None or not shut or (all_pods and not shut.issuperset(outlook.always)):
        return None
    few = ", ".join(sorted(shut)[:3]) + (f" and {len(shut) - 3} more" if len(shut) > 3 else "")
    told = f"{case.around.balancer} never sends to {few}, where pods"
    if len(shut) == len(outlook.always) + len(outlook.maybe):
        return "no", f"{told} run."
    return "possible", f"{told} may run: keep them away, by a taint for example."


def _client_ip(case: Case, asked: Asked) -> Answer:
    if shut_in := _shut_in(case):
        return shut_in
    if not case.used:
        return _unentered(case)
    if case.balancer.proxies:
        return "no", f"{case.around.balancer} opens connections of its own."
    lost = [entry for entry in case.used if entry.outcome.client_ip == "replaced"]
    if lost and case.placed:
        return "no", f"{lost[0].outcome.reason}."
    if not case.placed and not case.local:
        if case.outlook and case.outlook.host_network and not _second_hops(case):
            return "possible", "only a hostNetwork pod of the entry node sees the client."
        return "no", "Cluster hides the client's address; Local would keep it."
    if not any(entry.outcome.fate is Fate.DELIVERED for entry in case.used):
        return "no", "no connection is served at all."
    return "certain", "every connection that is served shows the client's address."


def _second_hops(case: Case) -> bool:
    """Whether under Cluster some connection reaches a pod of another node, wherever pods are."""
    open_nodes = len(case.around.cluster.nodes) - len(case.excluded)
    return case.nodes_known and open_nodes > 1 and not case.declared.distribution


def _no_blackhole(case: Case, asked: Asked) -> Answer:
    if shut_in := _shut_in(case):
        return shut_in
    if not case.used:
        return _unentered(case)
    rejected = [e for e in case.used if e.outcome.fate is Fate.REJECTED]
    if rejected:
        return "no", f"{rejected[0].outcome.reason}."
    if not case.placed and case.local:
        return _HANGS_ON_PLACES if case.outlook is None else _served(case, case.outlook)
    lost = [entry for entry in case.used if entry.outcome.fate is not Fate.DELIVERED]
    if lost:
        nodes = named(lost[0].nodes, len(lost[0].nodes))
        return "no", f"through {nodes}: {lost[0].outcome.reason}."
    return "certain", f"every connection that {case.around.balancer} hands out is served."


def _max_share(case: Case, asked: Asked) -> Answer:
    if shut_in := _shut_in(case, all_pods=False):
        return shut_in
    if not case.landings:
        return _unentered(case)
    unknown = case.outlook is None if case.local else bool(case.declared.distribution)
    if not case.placed and unknown:
        return _HANGS_ON_PLACES
    if case.outlook is not None:
        return _share_anywhere(case, case.outlook, asked.most)
    shares = [(share, pod) for landing in case.landings for pod, share in landing.pods.items()]
    if not shares:
        return "no", f"no pod gets any connection behind {case.around.balancer}."
    most, pod = max(shares)
    told = f"{pod} gets {most:.1%} behind {case.around.balancer}."
    return ("certain" if most <= asked.most + _ROUNDING else "no"), told


def _served(case: Case, outlook: Outlook) -> Answer:
    """Whether every connection is served under Local, over all placements."""
    if case.balancer.watches != "nothing":
        if outlook.anywhere != "certain":
            return "possible", "it may be that no pod finds a node."
        return "certain", f"{case.around.balancer} sends to nodes with a ready pod only."
    if outlook.empty == "impossible":
        return "certain", "every node has a pod in every placement that the manifests allow."
    holds: Holds = "possible" if outlook.empty == "possible" else "no"
    remedy = f" What makes it certain: {outlook.remedy}." if outlook.remedy else ""
    return holds, f"a node without a pod drops: {placement.told(outlook)}.{remedy}"


def _share_anywhere(case: Case, outlook: Outlook, limit: float) -> Answer:
    """Whether no pod gets more than `limit`, over all placements."""
    if outlook.anywhere == "impossible":
        return "no", f"no pod gets any connection behind {case.around.balancer}."
    nodes = len(case.around.cluster.nodes) if outlook.nodes_known else None
    most = largest_share(outlook, case.balancer, local=case.local, nodes=nodes)
    told = f"a pod gets up to {most:.1%} behind {case.around.balancer}, by where pods are placed"
    if most <= limit + _ROUNDING:
        return "certain", f"{told}."
    even = 1 / outlook.most if outlook.most and outlook.wanted is not None else 0.0
    all_served = not case.local or case.balancer.watches != "nothing"
    if all_served and even > limit + _ROUNDING:
        return "no", f"{outlook.most} pods cannot all get less than {even:.1%}."
    return "possible", f"{told}; {SPREAD} and more replicas make it less."


_HANGS_ON_PLACES: Answer = (
    "possible",
    "it hangs on which nodes the pods run; give the nodes (Node objects or a Lab document) to have"
    " it judged, or use externalTrafficPolicy: Cluster without trafficDistribution.",
)


_JUDGES: Mapping[str, Callable[[Case, Asked], Answer]] = {
    "client-ip": _client_ip,
    "no-blackhole": _no_blackhole,
    "max-share": _max_share,
}
