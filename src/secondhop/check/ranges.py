"""loadBalancerSourceRanges: whom they bar unasked, and whom they let in all the same."""

from __future__ import annotations

from collections.abc import Iterator

from ..manifests.ranges import inside
from ..model.finding import Certainty, Finding
from ..predict.services import restrictions
from .case import Case, Rule

RANGES = ("spec", "loadBalancerSourceRanges")
ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def cut_off(case: Case) -> Iterator[Finding]:
    """At the load balancer IP kube-proxy filters whoever comes, pods too (semantics §7)."""
    for target in case.targets:
        if not target.ranges or (case.service.ingress and not target.vips):
            continue
        barred = [
            cidr
            for cidr in case.around.cluster.cni.pod_cidrs
            if cidr.version == target.family and not any(inside(cidr, r) for r in target.ranges)
        ]
        if barred:
            message = (
                f"pods ({', '.join(map(str, barred))}) are barred from the load balancer IP too:"
                " kube-proxy filters what comes from inside the cluster by the same list."
            )
            remedy = f"Add {barred[0]}, if pods use that address."
            certainty: Certainty = "certain" if target.vips and case.nodes_known else "possible"
            yield case.find("ranges-cut-off-pods", RANGES, message, remedy, certainty=certainty)
            return


def unguarded(case: Case) -> Iterator[Finding]:
    """Node ports and external IPs are never filtered (§3.1 rows 22 and 23, §13.4)."""
    guarded = [target for target in case.targets if target.ranges]
    if port := next((t.port for t in guarded if t.port.node_port), None):
        message = f"node port {port.node_port} of every node is open to everybody: the ranges guard"
        message += " the load balancer IP only."
        remedy = "Set allocateLoadBalancerNodePorts: false, or guard node ports by a firewall."
        yield case.find("ranges-unguarded", RANGES, message, remedy)
    if external := next((t for t in guarded if t.external_ips), None):
        message = f"external IP {external.external_ips[0]} is open to everybody: the ranges guard"
        message += " the load balancer IP only."
        remedy = "Guard external IPs by a firewall, or remove them."
        yield case.find("ranges-unguarded", ("spec", "externalIPs"), message, remedy)


def open_family(case: Case) -> Iterator[Finding]:
    """Ranges act on their own family only; none of a family means no limit for it (§13.9)."""
    ranges = case.service.source_ranges
    families = sorted({target.family for target in case.targets})
    without = [f for f in families if not any(r.version == f for r in ranges)]
    if ranges and without:
        message = f"the list has no IPv{without[0]} range, so IPv{without[0]} is open to everybody."
        remedy = f"Add the IPv{without[0]} ranges that may enter."
        yield case.find("ranges-one-family-open", RANGES, message, remedy)


def lifted(case: Case) -> Iterator[Finding]:
    """A zero-length prefix lifts the whole list of its family (§1.1)."""
    for family in sorted({target.family for target in case.targets}):
        own = [r for r in case.service.source_ranges if r.version == family]
        if len(own) > 1 and not restrictions(case.service, family):
            everything = next(r for r in own if r.prefixlen == 0)
            message = f"{everything} lets everybody in: the other IPv{family} ranges do nothing."
            yield case.find("ranges-lifted", RANGES, message, f"Remove {everything}.")


def annotated(case: Case) -> Iterator[Finding]:
    """The beta annotation is for cloud controllers (§1.1)."""
    annotations = case.resource.get("metadata", "annotations") or {}
    if ANNOTATION in annotations and not case.service.source_ranges:
        message = "kube-proxy does not read this annotation: on the nodes everybody is let in."
        remedy = "Write the ranges to spec.loadBalancerSourceRanges."
        path = ("metadata", "annotations", ANNOTATION)
        yield case.find("ranges-annotation-ignored", path, message, remedy)


ALWAYS: tuple[Rule, ...] = (cut_off, unguarded, open_family, lifted, annotated)
