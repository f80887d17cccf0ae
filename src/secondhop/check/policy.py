"""The two traffic policies: who is dropped, whose address is lost, and what has no effect."""

from __future__ import annotations

from collections.abc import Iterator

from ..model.fate import Fate
from ..model.finding import Finding
from ..predict.entries import Entry
from ..predict.services import Target
from .case import ETP, Case, Rule, named

_ITP = ("spec", "internalTrafficPolicy")


def local_drops(case: Case) -> Iterator[Finding]:
    """Under Local a node without a usable pod drops what outside clients send (semantics §2.3)."""
    dark = [entry for entry in case.used if is_dark(entry)]
    homes = {e.node for entry in dark for e in entry.target.endpoints}
    if not dark or not homes & {node.name for node in case.around.cluster.nodes}:
        return  # no-local-endpoint tells more
    nodes = {node.name: node for entry in _same(dark) for node in entry.nodes}
    lost = max((landing.lost for landing in case.landings), default=0.0)
    behind = f" Behind {case.around.balancer} that is {lost:.0%} of connections." if lost else ""
    message = (
        f"{named(nodes.values(), len(nodes))} drop{'s' if len(nodes) == 1 else ''} what outside"
        f" clients send: no ready pod there, {_census(dark[0].target)}.{behind}"
    )
    yield case.find("local-drops", ETP, message, _remedy(case))


def is_dark(entry: Entry) -> bool:
    """Whether its nodes drop for want of a pod of their own."""
    return entry.outcome.fate is Fate.DROPPED and not entry.target.usable(entry.node).local


def _same(entries: list[Entry]) -> list[Entry]:
    """The entries of the first's address and port."""
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
        homes = {e.node for e in target.endpoints}
        usable = {
            node.name
            for name in homes
            if (node := case.around.paths.routes.node(name or "")) and target.usable(node).local
        }
        nodes = case.around.cluster.nodes
        if target.internal_local and usable and len(usable) < len(nodes):
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
    kept = {n.name: n for e in case.used if e.outcome.client_ip == "kept" for n in e.nodes}
    seen = lost[0].outcome.backends
    sees = next(
        b.source_ip
        for b in seen
        if b.source_ip != case.around.entries.clients[lost[0].target.family].ip
    )
    message = "Cluster replaces the client's address by the entry node's, towards the pod"
    if case.placed:
        message += f" ({sees} through {lost[0].node.name})"
        if kept:
            message += f"; {named(kept.values(), len(kept))} keeps it, by a hostNetwork pod"
    yield case.find(
        "client-ip-lost",
        ETP,
        f"{message}.",
        "Set externalTrafficPolicy: Local, if pods need the client's address.",
        certainty="certain" if case.placed or not _on_hosts(case) else "possible",
    )


def _on_hosts(case: Case) -> bool:
    """Whether some pod has its node's address, so that the entry node decides."""
    place = case.around.paths.routes.place
    return any(place(e).on_host for target in case.targets for e in target.endpoints)


ALWAYS: tuple[Rule, ...] = (client_ip_lost, without_effect)
PLACED: tuple[Rule, ...] = (local_drops, internal_drops)
