"""Whether there is anything behind the Service, and whether its entries lead to it."""

from __future__ import annotations

from collections.abc import Iterator

from ..manifests.problems import Path, printable, shown
from ..model.cluster import Address, ServicePort
from ..model.fate import Fate
from ..model.finding import Finding
from ..predict.services import Target
from .case import ETP, Case, Rule, named


def nobody(case: Case) -> Iterator[Finding]:
    """Ports without any usable endpoint: refused everywhere (semantics §3.1 rows 1 and 5)."""
    for port in case.service.ports:
        targets = [target for target in case.targets if target.port is port]
        if not targets or any(_usable(case, target) for target in targets):
            continue
        listed = sum(len(target.endpoints) for target in targets)
        yield _why_nobody(case, port, listed)
        if not listed and case.declared.selector and not _selected(case):
            return  # the other ports have nobody for the same reason


def _usable(case: Case, target: Target) -> bool:
    """Whether some endpoint can be used somewhere in the cluster."""
    nodes = case.around.cluster.nodes
    return bool(nodes) and target.usable(nodes[0]).anywhere


def _selected(case: Case) -> bool:
    wanted = case.declared.selector.items()
    here = case.around.pods.get(case.service.namespace, ())
    return any(wanted <= pod.labels.items() for pod in here)


def _why_nobody(case: Case, port: ServicePort, listed: int) -> Finding:
    path = case.port_path(port)
    if listed:
        message = f"none of the {listed} endpoints of port {port.port} is ready: it is refused."
        remedy = "Look at the pods' readiness: kubectl describe them."
        return case.find("no-ready-endpoint", path, message, remedy)
    if not case.declared.selector:
        return case.find(
            "no-ready-endpoint",
            path,
            "there is no selector, and no EndpointSlice of this Service in the input.",
            "Give the EndpointSlice too, or a selector.",
            certainty="possible",
            severity="note",
        )
    if not _selected(case):
        return _unselected(case)
    target = case.declared.targets[case.service.ports.index(port)]
    if isinstance(target, str):
        return case.find(
            "target-port-unknown",
            (*path, "targetPort"),
            f"no container of the selected pods has a {port.protocol} port named {shown(target)}.",
            "Name one of their ports, or give its number.",
        )
    message = f"none of the pods behind port {port.port} is on a node of the input."
    remedy = "See why they are pending, or give their nodes too."
    return case.find("no-ready-endpoint", path, message, remedy)


def _unselected(case: Case) -> Finding:
    """No pod has the selector's labels: an oversight, unless the pods are in another input."""
    wanted = printable(",".join(f"{k}={value}" for k, value in case.declared.selector.items()))
    here = case.around.pods.get(case.service.namespace, ())
    known = {printable(f"{key}={value}") for pod in here for key, value in pod.labels.items()}
    told = f"; their labels: {', '.join(sorted(known))}" if 0 < len(known) <= 8 else ""
    path, namespace = ("spec", "selector"), case.service.namespace
    if here:
        message = f"none of {len(here)} pods in the input has {wanted}{told}."
        remedy = "Make the selector and the pods' labels agree."
    elif namespace in case.around.employers:
        message = f"no workload of the input makes a pod in namespace {namespace}."
        remedy = "Raise `replicas`, or give it a node that it fits."
    else:
        message = f"the input has no pod in namespace {namespace} to look for {wanted}."
        return case.find(
            "selector-matches-nothing",
            path,
            message,
            "Give the workload too.",
            certainty="possible",
            severity="note",
        )
    return case.find("selector-matches-nothing", path, message, remedy)


def one_family(case: Case) -> Iterator[Finding]:
    """A family with a cluster IP but no endpoints: the two never mix (§8)."""
    for port in case.service.ports:
        targets = [target for target in case.targets if target.port is port]
        empty = [target for target in targets if not _usable(case, target)]
        if empty and len(empty) < len(targets):
            message = f"port {port.port} has no usable IPv{empty[0].family} endpoint."
            remedy = "Give the pods addresses of that family, or set ipFamilyPolicy: SingleStack."
            yield case.find("family-without-endpoints", ("spec", "ipFamilies"), message, remedy)
            return


def no_local(case: Case) -> Iterator[Finding]:
    """Policy Local, and the nodes that the endpoints name are none of the cluster."""
    locally = [t for t in case.targets if t.internal_local or (t.external_local and t.accessible)]
    for target in locally:
        names = {e.node for e in target.endpoints}
        node = case.around.paths.routes.node
        if not _usable(case, target) or any(node(name or "") for name in names):
            continue
        nodes = case.around.cluster.nodes
        told = sorted(printable(name) for name in names if name)
        message = (
            f"no endpoint is on any node: they name {', '.join(told[:3]) or 'no node'}, the"
            f" cluster's are {named(nodes, len(nodes))}. kube-proxy compares the names exactly."
        )
        remedy = "Make nodeName, the Node's name and kube-proxy's --hostname-override the same."
        path = ETP if target.external_local else ("spec", "internalTrafficPolicy")
        yield case.find("no-local-endpoint", path, message, remedy)
        return


def claimed_twice(case: Case) -> Iterator[Finding]:
    """An address and port that kube-proxy may serve for another Service (§3.2)."""
    for target in case.targets:
        doors: list[tuple[Path, Address]] = [
            *((("spec", "externalIPs"), ip) for ip in target.external_ips),
            *((("status", "loadBalancer", "ingress"), ip) for ip in target.vips),
        ]
        for path, address in doors:
            match = case.around.entries.claimed(target, address)
            if match is None or match.target.service is case.service:
                continue
            message = (
                f"{address}:{target.port.port} is claimed by Service {match.target.service} too;"
                " which of the two is served is left open."
            )
            yield case.find("claimed-twice", path, message, "Give each its own port or address.")


def not_served(case: Case) -> Iterator[Finding]:
    """nodePortAddresses leave a node's own address out (§3.2)."""
    for entry in case.entries:
        if entry.kind == "nodePort" and entry.outcome.fate is Fate.CLOSED:
            nodes = named(entry.nodes, len(entry.nodes))
            port = entry.target.port
            message = (
                f"node port {port.node_port} is refused at the address of {nodes}: kube-proxy's"
                " nodePortAddresses leave it out."
            )
            remedy = "Widen nodePortAddresses, or dial an address inside them."
            path = case.port_path(port, "nodePort")
            yield case.find("node-port-not-served", path, message, remedy)
            return


ALWAYS: tuple[Rule, ...] = (nobody, claimed_twice)
NODES: tuple[Rule, ...] = (not_served,)
PLACED: tuple[Rule, ...] = (one_family, no_local)
