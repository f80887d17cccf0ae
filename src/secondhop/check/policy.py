"""The two traffic policies: who is dropped, whose address is lost, and what has no effect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ..model.fate import Fate
from ..model.finding import Finding
from ..predict.entries import Entry
from ..predict.services import Target
from .case import ETP, Case, Rule, named

_ITP = ("spec", "internalTrafficPolicy")


def local_drops(case: Case) -> Iterator[Finding]:
    """Under Local a node without a usable pod drops what outside clients send (semantics §2.3)."""
    dark = [entry for entry in case.used if _is_dark(entry)]
    node = case.around.paths.routes.node
    if not any(node(e.node or "") for entry in dark for e in entry.target.endpoints):
        return  # nobody is dropped, or no-local-endpoint tells more
    dark = _like_first(dark)
    count = sum(len(entry.nodes) for entry in dark)
    names = named(chain.from_iterable(entry.nodes for entry in dark), count)
    lost = max((landing.lost for landing in case.landings), default=0.0)
    behind = f" Behind {case.around.balancer} that is {lost:.1%} of connections." if lost else ""
    message = (
        f"{names} drop{'s' if count == 1 else ''} what outside clients send: no ready pod there,"
        f" {_census(dark[0].target)}.{behind}"
    )
    yield case.find("local-drops", ETP, message, _remedy(case))


def _is_dark(entry: Entry) -> bool:
    """Whether its nodes drop for want of a pod of their own."""
    target = entry.target
    dropped = entry.outcome.fate is Fate.DROPPED and target.external_local
    return dropped and not target.usable(entry.node).local


def _like_first(entries: list[Entry]) -> list[Entry]:
    """The entries of the first's address and port: their nodes are each other's rest."""
    first = entries[0]
    return [e for e in entries if (e.target, e.address) == (first.target, first.address)]


def _census(target: Target) -> str:
    ready = [e for e in target.endpoints if e.ready]
    homes = {e.node for e in ready}
    if not ready:
        return "only terminating ones elsewhere"
    return f"{len(ready)} on {len(homes)} other node{'s' if len(homes) > 1 else ''}"


def _remedy(case: Case) -> str:
    if case.service.type == "LoadBalancer" and case.balancer.watches == "nothing":
        port = case.service.health_check_node_port
        return (
            f"Let the balancer check healthCheckNodePort ({port} here) on every node, and check"
            " again with --balancer healthy-nodes."
        )
    return (
        "Keep a ready pod on every node: a DaemonSet, or at least"
        f" {len(case.around.cluster.nodes)} replicas with a topologySpreadConstraint on"
        " kubernetes.io/hostname (maxSkew: 1, whenUnsatisfiable: DoNotSchedule)."
    )


def internal_drops(case: Case) -> Iterator[Finding]:
    """Under internalTrafficPolicy Local callers on a node without a pod are dropped (§2.3)."""
    for target in case.targets:
        if not target.internal_local:
            continue
        homes = {e.node for e in target.endpoints}
        usable = {
            node.name
            for name in homes
            if (node := case.around.paths.routes.node(name or "")) and target.usable(node).local
        }
        nodes = case.around.cluster.nodes
        if usable and len(usable) < len(nodes):
            dark = (node for node in nodes if node.name not in usable)
            message = (
                f"callers on {named(dark, len(nodes) - len(usable))} are dropped at the cluster IP:"
                f" no ready pod there, {_census(target)}."
            )
            remedy = "Keep a ready pod on every node that has callers: a DaemonSet, for example."
            yield case.find("internal-policy-drops", _ITP, message, remedy)
            return


def without_effect(case: Case) -> Iterator[Finding]:
    """Policies that do not bind what their author may mean (§2.2, §1.1)."""
    service = case.service
    if service.external_traffic_policy == "Local" and not case.targets:
        why = "it is headless" if case.declared.headless else "a label gives it to another proxy"
        message = f"Local has no effect: kube-proxy does not serve this Service, {why}."
        yield case.find("policy-without-effect", ETP, message, "Remove it, or what hides it.")
    open_ones = [target for target in case.targets if target.accessible]
    if any(target.internal_local and not target.external_local for target in open_ones):
        message = (
            "Local binds callers of the cluster IP only: what comes from outside follows"
            " externalTrafficPolicy, which is Cluster."
        )
        remedy = (
            "Set externalTrafficPolicy: Local, if outside traffic is meant to stay on its node."
        )
        yield case.find("policy-without-effect", _ITP, message, remedy)


def client_ip_lost(case: Case) -> Iterator[Finding]:
    """Pods see another address than the client's (§4.1, §4.2)."""
    if case.balancer.proxies and case.used:
        message = (
            f"pods do not see the client's address: {case.around.balancer} opens connections of"
            " its own."
        )
        remedy = "Take it from PROXY protocol, or from X-Forwarded-For."
        yield case.find("client-ip-lost", ETP, message, remedy)
        return
    lost = [entry for entry in case.used if entry.outcome.client_ip == "replaced"]
    if not lost:
        return
    if case.service.external_traffic_policy == "Local":
        remedy = "Let the pod network leave the source of what a node forwards to its pods alone."
        yield case.find("client-ip-lost", ETP, f"{lost[0].outcome.reason}.", remedy)
        return
    message = "Cluster hides the client's address behind one of the entry node's."
    if case.placed:
        alike = _like_first(lost[:1] + list(case.used))
        kept = [entry.nodes for entry in alike if entry.outcome.client_ip == "kept"]
        message = f"Cluster hides the client's address: {lost[0].outcome.reason}."
        if kept:
            nodes, count = chain.from_iterable(kept), sum(map(len, kept))
            message += f" {named(nodes, count)} keeps it, for a hostNetwork pod of its own."
    yield case.find(
        "client-ip-lost",
        ETP,
        message,
        "Set externalTrafficPolicy: Local, if pods need the client's address.",
        certainty="possible" if not case.placed and _on_hosts(case) else "certain",
    )


def _on_hosts(case: Case) -> bool:
    """Whether all pods have their node's address, so that the entry node decides."""
    place = case.around.paths.routes.place
    return all(place(e).on_host for target in case.targets for e in target.endpoints)


ALWAYS: tuple[Rule, ...] = (client_ip_lost, without_effect)
PLACED: tuple[Rule, ...] = (local_drops, internal_drops)
