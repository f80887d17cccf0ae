"""Which nodes a pod fits on, and why not on the others: the scheduler's filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..client import Object, meta
from ..client.api import labels_of
from ..model.labels import selects
from .eligibility import cordoned_for, selects_node, untolerated
from .owners import deleting
from .pods import FINISHED, phase

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_CORDONED = "node(s) were unschedulable"
_OTHER_NAME = "node(s) didn't match the requested node name"
_TAINTED = "node(s) had untolerated taint {%s: %s}"
_NOT_SELECTED = "node(s) didn't match Pod's node affinity/selector"
_PORTS = "node(s) didn't have free ports for the requested pod ports"
_SKEWED = "node(s) didn't match pod topology spread constraints"
_NO_DOMAIN = f"{_SKEWED} (missing required label)"
_AFFINITY = "node(s) didn't match pod affinity rules"
_ANTI = "node(s) didn't match pod anti-affinity rules"
_REPELLED = "node(s) didn't satisfy existing pods anti-affinity rules"
_FULL = "Too many pods"
_BY_OTHER_PODS = {_FULL, _PORTS, _SKEWED, _AFFINITY, _ANTI, _REPELLED}

Check: TypeAlias = Callable[[Object], str]
"""Why a node does not do; empty if it does."""


class Scene(NamedTuple):
    """The cluster as a pod finds it. pods_on: the pods of a node, by its name. wary: the pods with
    a required anti-affinity."""

    nodes: Sequence[Object]
    pods_on: Callable[[str], Collection[Object]]
    wary: Collection[Object] = ()


class Verdict(NamedTuple):
    """The nodes that do, and the reasons of those that do not, counted."""

    fitting: list[Object]
    reasons: Counter[str]

    @property
    def pods_matter(self) -> bool:
        """Whether the end of another pod could help."""
        return any(reason in _BY_OTHER_PODS for reason in self.reasons)

    @property
    def message(self) -> str:
        """As a FailedScheduling Event says it."""
        total = self.reasons.total()
        if not total:
            return "no nodes available to schedule pods"
        told = ", ".join(sorted(f"{n} {reason}" for reason, n in self.reasons.items()))
        preempted = Counter(
            "No preemption victims found for incoming pod."
            if reason in _BY_OTHER_PODS
            else "Preemption is not helpful for scheduling."
            for reason in self.reasons.elements()
        )
        last = ", ".join(sorted(f"{n} {reason}" for reason, n in preempted.items()))
        available = f"0/{total} nodes are available:"
        return f"{available} {told}. preemption: {available} {last}"


def fit(pod: Object, scene: Scene) -> Verdict:
    """Every node judged, by the first reason against it."""
    checks = [*_by_node(pod["spec"]), *_by_pods(pod, scene)]
    verdict = Verdict([], Counter())
    for node in scene.nodes:
        reason = next((why for check in checks if (why := check(node))), "")
        if reason:
            verdict.reasons[reason] += 1
        else:
            verdict.fitting.append(node)
    return verdict


def _by_node(spec: Mapping[str, Any]) -> Iterator[Check]:
    yield lambda node: _CORDONED if cordoned_for(spec, node) else ""
    if spec.get("nodeName"):
        yield lambda node: "" if meta(node)[1] == spec["nodeName"] else _OTHER_NAME
    yield lambda node: _taint(spec, node)
    yield lambda node: "" if selects_node(spec, node) else _NOT_SELECTED


def _is_full(scene: Scene, node: Object) -> bool:
    """Whether it runs as many pods as it says it can."""
    most = ((node.get("status") or {}).get("allocatable") or {}).get("pods")
    return most is not None and sum(1 for _ in _running(scene, node)) >= int(most)


def _taint(spec: Mapping[str, Any], node: Object) -> str:
    taint = untolerated(spec, node)
    return _TAINTED % (taint["key"], taint.get("value") or "") if taint else ""


def _by_pods(pod: Object, scene: Scene) -> Iterator[Check]:
    spec = pod["spec"]
    yield lambda node: _FULL if _is_full(scene, node) else ""
    if ports := host_ports(pod):
        yield lambda node: _PORTS if _clash(ports, _running(scene, node)) else ""
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("whenUnsatisfiable") == "DoNotSchedule":
            yield _spread(pod, constraint, scene)
    affinity = spec.get("affinity") or {}
    for term in (affinity.get("podAffinity") or {}).get(_REQUIRED) or ():
        yield _near(pod, term, scene)
    for term in _repulsions(pod):
        yield _apart(pod, term, scene)
    if scene.wary:
        forbidden = set(_forbidden(pod, scene))
        yield lambda node: _REPELLED if forbidden & labels_of(node).items() else ""


def _running(scene: Scene, node: Object) -> Iterator[Object]:
    return (pod for pod in scene.pods_on(meta(node)[1]) if phase(pod) not in FINISHED)


def host_ports(pod: Object) -> set[tuple[str, int, str]]:
    """The node's ports that a pod takes: protocol, number, address (empty: all)."""
    return {
        (port.get("protocol") or "TCP", port["hostPort"], _address(port.get("hostIP")))
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _address(text: str | None) -> str:
    return "" if text in (None, "0.0.0.0", "::") else str(text)


def _clash(ports: set[tuple[str, int, str]], others: Iterable[Object]) -> bool:
    taken = [port for other in others for port in host_ports(other)]
    return any(
        (protocol, number) == (p, n) and (address == a or not address or not a)
        for protocol, number, address in ports
        for p, n, a in taken
    )


def _spread(pod: Object, constraint: Mapping[str, Any], scene: Scene) -> Check:
    """A node's domain may hold at most `maxSkew` more of the matching pods than the emptiest; the
    domains are those of the nodes that the pod's selector and affinity allow."""
    key, selector = constraint["topologyKey"], constraint.get("labelSelector")
    selector = _with_own_values(pod, selector, constraint.get("matchLabelKeys"))
    namespace = meta(pod)[0]
    counts: dict[str, int] = {}
    for node in scene.nodes:
        domain = labels_of(node).get(key)
        if domain is not None and selects_node(pod["spec"], node):
            counts[domain] = counts.get(domain, 0) + sum(
                meta(other)[0] == namespace
                and not deleting(other)
                and selects(selector, labels_of(other))
                for other in _running(scene, node)
            )
    fewest = min(counts.values(), default=0)
    if len(counts) < (constraint.get("minDomains") or 1):
        fewest = 0
    limit = constraint["maxSkew"] + fewest - selects(selector, labels_of(pod))

    def check(node: Object) -> str:
        domain = labels_of(node).get(key)
        if domain is None:
            return _NO_DOMAIN
        return _SKEWED if counts.get(domain, 0) > limit else ""

    return check


def _with_own_values(
    pod: Object, selector: Mapping[str, Any] | None, keys: Iterable[str] | None
) -> Mapping[str, Any] | None:
    own = {key: labels_of(pod)[key] for key in keys or () if key in labels_of(pod)}
    if not own or selector is None:
        return selector
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **own}}


def _near(pod: Object, term: Mapping[str, Any], scene: Scene) -> Check:
    """Only where a matching pod is; anywhere in a domain, if there is none yet and it would match
    itself."""
    key, found = term["topologyKey"], _domains(pod, term, scene)
    first = not found and _matches(term, pod, pod)

    def check(node: Object) -> str:
        domain = labels_of(node).get(key)
        return "" if domain is not None and (first or domain in found) else _AFFINITY

    return check


def _apart(pod: Object, term: Mapping[str, Any], scene: Scene) -> Check:
    """Not where a matching pod is."""
    key, taken = term["topologyKey"], _domains(pod, term, scene)
    return lambda node: _ANTI if labels_of(node).get(key) in taken else ""


def _repulsions(pod: Object) -> list[dict[str, Any]]:
    affinity = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
    return affinity.get(_REQUIRED) or []


def is_wary(pod: Object) -> Iterator[bool]:
    """Index: the pods with a required anti-affinity, under True."""
    if _repulsions(pod):
        yield True


def _domains(pod: Object, term: Mapping[str, Any], scene: Scene) -> set[str]:
    """The values of a term's topology key where a pod that it means is running."""
    return {
        labels_of(node)[term["topologyKey"]]
        for node in scene.nodes
        if term["topologyKey"] in labels_of(node)
        and any(_matches(term, pod, other) for other in _running(scene, node))
    }


def _forbidden(pod: Object, scene: Scene) -> Iterator[tuple[str, str]]:
    """The labels of nodes where a pod that is there already does not want this one."""
    labels = {meta(node)[1]: labels_of(node) for node in scene.nodes}
    for other in scene.wary:
        there = labels.get(other["spec"].get("nodeName") or "")
        if there is None or phase(other) in FINISHED:
            continue
        for term in _repulsions(other):
            key = term["topologyKey"]
            if key in there and _matches(term, other, pod):
                yield key, there[key]


def _matches(term: Mapping[str, Any], owner: Object, other: Object) -> bool:
    """Whether a pod's affinity term means another pod. A namespaceSelector counts as all."""
    namespaces = term.get("namespaces") or [meta(owner)[0]]
    if "namespaceSelector" not in term and meta(other)[0] not in namespaces:
        return False
    return selects(term.get("labelSelector"), labels_of(other))
