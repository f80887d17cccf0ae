"""What the API server refuses in a Service (semantics §1.5), after defaulting and allocation.

The rules stand in the server's order, and say a thing twice where the server does.
"""

from __future__ import annotations

from collections.abc import Iterator

from .balancer import balancer_rules, class_update
from .families import clusterip_rules, families_update, ips_update
from .field import GATES, FieldError, Gates, Object, forbidden, invalid, not_supported, required
from .metadata import validate_labels, validate_metadata, validate_metadata_update
from .ports import node_port_rules, port_rules
from .syntax import (
    address,
    dns_label,
    dns_subdomain,
    old_dns_label,
    port_number,
    special_address,
)
from .values import AFFINITIES, DISTRIBUTIONS, POLICIES, TOPOLOGY_HINTS, TOPOLOGY_MODE, TYPES
from .view import View

_MOST_SECONDS = 86400  # of session affinity


def validate_service(
    service: Object, old: Object | None = None, *, gates: Gates = GATES
) -> list[FieldError]:
    """Every refusal of a Service as a new one or, with old, as a change of a stored one."""
    new = View(service)
    if old is None:
        return list(_rules(new, None, gates))
    before = View(old)
    return [*_update_rules(new, before), *_rules(new, before, gates)]


def validate_external_traffic(service: Object) -> list[FieldError]:
    """The rules of externalTrafficPolicy and healthCheckNodePort alone."""
    return list(_external_traffic(View(service)))


def _update_rules(new: View, old: View) -> Iterator[FieldError]:
    yield from validate_metadata_update(new.metadata, old.metadata)
    yield from ips_update(new, old)
    yield from families_update(new, old)
    yield from class_update(new, old)
    if old.needs_health_port and new.needs_health_port and old.health_port != new.health_port:
        yield forbidden(("spec", "healthCheckNodePort"), "field is immutable")


def _rules(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    relaxed = gates.relaxed_names or old is not None
    yield from validate_metadata(service.metadata, dns_label if relaxed else old_dns_label)
    yield from _topology(service)
    yield from _by_type(service)
    yield from port_rules(service)
    yield from validate_labels(service.spec.get("selector") or {}, ("spec", "selector"))
    yield from _affinity(service)
    yield from clusterip_rules(service, old, gates)
    yield from _external_ips(service, old, gates)
    yield from _type(service)
    yield from node_port_rules(service)
    yield from balancer_rules(service, old, gates)
    yield from _external_traffic(service)
    yield from _internal_traffic(service)
    yield from _distribution(service, gates)


def _topology(service: View) -> Iterator[FieldError]:
    mode, hints = map(service.annotation, (TOPOLOGY_MODE, TOPOLOGY_HINTS))
    if mode is not None and hints is not None and mode != hints:
        why = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        yield invalid(("metadata", "annotations", TOPOLOGY_MODE), mode, why)


def _by_type(service: View) -> Iterator[FieldError]:
    """What the types must have, and what they cannot."""
    if not service.ports and not service.headless and service.type != "ExternalName":
        yield required(("spec", "ports"))
    if service.headless and service.type in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {service.type} services"
        yield invalid(("spec", "clusterIPs", 0), "None", why)
    if service.type != "ExternalName":
        return
    why = "may not be set for ExternalName services"
    if service.ips:
        yield forbidden(("spec", "clusterIPs"), why)
    if service.families:
        yield forbidden(("spec", "ipFamilies"), why)
    if service.policy is not None:
        yield forbidden(("spec", "ipFamilyPolicy"), why)
    name = (service.spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required(("spec", "externalName"))
    else:
        for why in dns_subdomain(name):
            yield invalid(("spec", "externalName"), name, why)


def _affinity(service: View) -> Iterator[FieldError]:
    affinity = service.spec.get("sessionAffinity") or ""
    config = service.spec.get("sessionAffinityConfig")
    if not affinity:
        yield required(("spec", "sessionAffinity"))
    elif affinity not in AFFINITIES:
        yield not_supported(("spec", "sessionAffinity"), affinity, AFFINITIES)
    elif affinity == "ClientIP":
        yield from _timeout(config)
    elif config is not None:
        why = "must not be set when session affinity is None"
        yield forbidden(("spec", "sessionAffinityConfig"), why)


def _timeout(config: Object | None) -> Iterator[FieldError]:
    why = "when session affinity type is ClientIP"
    if config is None:
        yield required(("spec", "sessionAffinityConfig"), why)
    elif config.get("clientIP") is None:
        yield required(("spec", "sessionAffinityConfig", "clientIP"), why)
    else:
        path = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        seconds = config["clientIP"].get("timeoutSeconds")
        if seconds is None:
            yield required(path, why)
        elif not 0 < seconds <= _MOST_SECONDS:
            yield invalid(path, seconds, f"must be greater than 0 and less than {_MOST_SECONDS}")


def _external_ips(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    stored = (old.spec.get("externalIPs") or []) if old else []
    for n, text in enumerate(service.spec.get("externalIPs") or []):
        malformed = address(text, strict=gates.strict_addresses) if text not in stored else []
        for why in malformed or special_address(text):
            yield invalid(("spec", "externalIPs", n), text, why)


def _type(service: View) -> Iterator[FieldError]:
    if not service.type:
        yield required(("spec", "type"))
    elif service.type not in TYPES:
        yield not_supported(("spec", "type"), service.type, TYPES)


def _external_traffic(service: View) -> Iterator[FieldError]:
    policy, path = service.external_policy, ("spec", "externalTrafficPolicy")
    if not service.accessible:
        if policy:
            yield invalid(path, policy, "may only be set for externally-accessible services")
    elif not policy:
        yield required(path)
    elif policy not in POLICIES:
        yield not_supported(path, policy, POLICIES)
    number, path = service.health_port, ("spec", "healthCheckNodePort")
    if not service.needs_health_port:
        if number:
            why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is"
            yield invalid(path, number, f"{why} 'Local'")
    elif not number:
        yield required(path)
    else:
        for why in port_number(number):
            yield invalid(path, number, why)


def _internal_traffic(service: View) -> Iterator[FieldError]:
    policy, path = service.spec.get("internalTrafficPolicy"), ("spec", "internalTrafficPolicy")
    if policy is None:
        if service.type in ("ClusterIP", "NodePort", "LoadBalancer"):
            yield required(path)
    elif policy not in POLICIES:
        yield not_supported(path, policy, POLICIES)


def _distribution(service: View, gates: Gates) -> Iterator[FieldError]:
    wanted = service.spec.get("trafficDistribution")
    known = DISTRIBUTIONS if gates.same_zone else DISTRIBUTIONS[:1]
    if wanted is not None and wanted not in known:
        yield not_supported(("spec", "trafficDistribution"), wanted, known)
