"""The API server's refusals of a user's Service, each told where it stands and how it is mended."""

from __future__ import annotations

from ipaddress import ip_network

from .api.field import GATES, FieldError, Object
from .problems import Path
from .resource import LABEL_REMEDY, SUBDOMAIN_REMEDY, Resource


def check(resource: Resource, service: Object) -> frozenset[Path]:
    """The fields for which the API server would refuse this Service, with its defaults, as a new
    one; none when it takes it.

    Every refusal is a problem. An object that comes from a server has been accepted, by rules that
    may be older: its addresses need not be strictly written.
    """
    from .api.balancer import validate_service_status
    from .api.service import validate_service

    gates = GATES._replace(strict_addresses=not resource.from_server)
    found = validate_service(service, gates=gates) + validate_service_status(service, gates=gates)
    errors = [error for error in found if (error.path, error.type) != (_ALLOCATED, "Required")]
    for error in errors:
        refuse(resource, error)
    return frozenset(error.path for error in errors)


_ALLOCATED: Path = ("spec", "healthCheckNodePort")
"""The one field that would be missing because nothing is allocated yet."""


def refuse(resource: Resource, error: FieldError, hint: str = "") -> None:
    """A refusal as a problem; hint: what else is known of the cause."""
    remedy = f"{hint} {_remedy(error)}".strip()
    path = _written(resource, error.path)
    resource.refuse(path, error.message, remedy, error.field, "refused-by-api")


def _written(resource: Resource, path: Path) -> Path:
    """Where the user wrote what the server names otherwise."""
    if path[1:2] == ("LoadBalancerSourceRanges",):
        return ("spec", "loadBalancerSourceRanges", *path[2:])
    if path[1:2] == ("clusterIPs",) and not resource.get("spec", "clusterIPs"):
        return ("spec", "clusterIP")
    return path


_REMEDIES: tuple[tuple[str, str, str], ...] = (
    ("", "already allocated", "Choose another one, or leave it out to have one allocated."),
    ("", "valid range", "Choose another one, or leave it out to have one allocated."),
    ("", "current range", "Leave clusterIP out, or choose a free one of the Service CIDR."),
    ("clusterIPs", "range is full", "Widen serviceCIDR in the Lab document."),
    ("", "range is full", "Remove Services, or set allocateLoadBalancerNodePorts: false on some."),
    ("", "RFC 1123 label", LABEL_REMEDY),
    ("", "must not contain dots", LABEL_REMEDY),
    ("", "RFC 1123 subdomain", SUBDOMAIN_REMEDY),
    ("", "and 65535", "Choose a port number in that range."),
    ("", "when `type` is 'ClusterIP'", "Set spec.type to NodePort or LoadBalancer, or remove it."),
    ("", "`type` is 'LoadBalancer' and", "Remove it: it is allocated."),
    ("", "`type` is 'LoadBalancer'", "Remove it, or set spec.type to LoadBalancer."),
    ("", "`spec.type` is 'LoadBalancer'", "Remove it, or set spec.type to LoadBalancer."),
    ("", "externally-accessible", "Set spec.type to NodePort or LoadBalancer, or remove it."),
    ("", "ExternalName services", "Remove it."),
    ("", "may not be set to 'None'", "Remove clusterIP, or use type ClusterIP."),
    ("", "first and only value", "Keep 'None' alone, or the addresses."),
    ("", "first value must match", "Repeat clusterIP as the first of clusterIPs."),
    ("", "must be empty when", "Write clusterIP too, the same as the first of clusterIPs."),
    ("", "up to 2 values", "Keep one for each family."),
    ("", "one IP for each IP family", "Keep one for each family."),
    ("", "multiple cluster IPs", "Set ipFamilyPolicy to PreferDualStack."),
    ("", "multiple IP families", "Set ipFamilyPolicy to PreferDualStack."),
    ("", "as indicated by", "Make clusterIPs and ipFamilies agree."),
    ("", "dual-stack services", "Use PreferDualStack, or give the Lab two serviceCIDRs."),
    ("", "on this cluster", "Choose a family of the Service CIDRs."),
    ("externalIPs", "", "Give an address that the network routes to a node."),
    ("timeoutSeconds", "", "Give seconds; 10800 is the default."),
    ("targetPort", "", "A name has at most 15 of a-z, 0-9, '-', one letter; a number no quotes."),
    ("ipMode", "is not set", "Remove ipMode, or give the ip."),
    ("", "valid IP address", "Give one address, or leave it out."),
    ("", "leading 0s", "Write it without leading zeros."),
    ("", "IPv4-mapped", "Write it as an IPv4 address."),
    ("", "valid CIDR", "Write an address and a prefix length."),
    ("", "must match annotations", "Keep only topology-mode."),
    ("ports", "Required", "List at least one port."),
    ("", "name or generateName", "Give the Service a name."),
    ("name", "Required", "Name every port when there are several."),
    ("externalName", "Required", "Give the DNS name to point to."),
    ("", "Duplicate", "Change or remove one of the two."),
    ("", "NotSupported", "Write one of those."),
    ("", "Required", "Give it a value."),
    ("", "Forbidden", "Remove it."),
    ("", "", "Correct the value."),
)
"""Field, or any; words of the error's type and detail; what to do next. The first fits."""


def _remedy(error: FieldError) -> str:
    if error.detail.endswith("beyond the prefix length"):
        return f"Write {ip_network(error.value, strict=False)}."
    said = f"{error.type} {error.detail}"
    last = [part for part in error.path if isinstance(part, str)][-1]
    return next(remedy for name, words, remedy in _REMEDIES if name in ("", last) and words in said)
