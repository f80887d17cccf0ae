"""Rules for what only a load balancer has: its fields, and its status (semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterator

from ..problems import Path
from .field import (
    GATES,
    FieldError,
    Gates,
    Object,
    forbidden,
    invalid,
    not_supported,
    required,
)
from .metadata import validate_metadata_update
from .syntax import address, dns_subdomain, label_key, network, parse_address
from .values import IP_MODES, SOURCE_RANGES
from .view import View

_ONLY_FOR_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
_CLASS = ("spec", "loadBalancerClass")


def balancer_rules(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    """Source ranges, node port allocation and class."""
    if service.spec.get("loadBalancerSourceRanges"):
        yield from _source_ranges(service, old, gates)
    else:
        yield from _annotated_ranges(service, old, gates)
    allocate = service.spec.get("allocateLoadBalancerNodePorts")
    if service.type != "LoadBalancer" and allocate is not None:
        yield forbidden(("spec", "allocateLoadBalancerNodePorts"), _ONLY_FOR_BALANCERS)
    elif service.type == "LoadBalancer" and allocate is None:
        yield required(("allocateLoadBalancerNodePorts",))  # without spec: the server's own words
    yield from _class(service)


def class_update(new: View, old: View) -> Iterator[FieldError]:
    """A balancer keeps its class; the server looks at its form here and once more later."""
    one, other = (view.spec.get("loadBalancerClass") for view in (new, old))
    if new.type == old.type == "LoadBalancer" and one != other:
        yield invalid(_CLASS, one, "may not change once set")
    yield from _class(new)


def _class(service: View) -> Iterator[FieldError]:
    name = service.spec.get("loadBalancerClass")
    if name is not None and service.type != "LoadBalancer":
        yield forbidden(_CLASS, _ONLY_FOR_BALANCERS)
    elif name is not None:
        for why in label_key(name):
            yield invalid(_CLASS, name, why)


def _source_ranges(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    path: Path = ("spec", "LoadBalancerSourceRanges")  # the server's own capital
    if service.type != "LoadBalancer":
        yield forbidden(path, _ONLY_FOR_BALANCERS)
    before = (old.spec.get("loadBalancerSourceRanges") or []) if old else []
    stored = {text.strip() for text in before}
    for n, text in enumerate(service.spec["loadBalancerSourceRanges"]):
        bare = text.strip()
        if bare not in stored:
            for why in network(bare, strict=gates.strict_addresses):
                yield invalid((*path, n), bare, why)


def _annotated_ranges(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    text = service.annotation(SOURCE_RANGES)
    path: Path = ("metadata", "annotations", SOURCE_RANGES)
    if text is None:
        return
    if service.type != "LoadBalancer":
        yield forbidden(path, _ONLY_FOR_BALANCERS)
    if not text.strip() or (old and old.annotation(SOURCE_RANGES) == text):
        return
    for part in text.split(","):
        for why in network(part.strip(), strict=gates.strict_addresses):
            yield invalid(path, part.strip(), why)


def validate_service_status(
    service: Object, old: Object | None = None, *, gates: Gates = GATES
) -> list[FieldError]:
    """Every refusal of status.loadBalancer and, with old, of a change of status."""
    new = View(service)
    stored = {entry.get("ip") for entry in _ingress(old)} if old else set()
    errors = list(validate_metadata_update(new.metadata, View(old).metadata)) if old else []
    path: Path = ("status", "loadBalancer", "ingress")
    entries = _ingress(service)
    if entries and new.type != "LoadBalancer":
        why = "may only be used when `spec.type` is 'LoadBalancer'"
        return [*errors, forbidden(path, why)]
    for n, entry in enumerate(entries):
        ip = entry.get("ip") or ""
        if ip and ip not in stored:
            wrong = address(ip, strict=gates.strict_addresses)
            errors += [invalid((*path, n, "ip"), ip, why) for why in wrong]
        errors += _mode(entry, (*path, n, "ipMode"))
        errors += _hostname(entry.get("hostname") or "", (*path, n, "hostname"))
    return errors


def _ingress(service: Object) -> list[Object]:
    balancer: Object = (service.get("status") or {}).get("loadBalancer") or {}
    return balancer.get("ingress") or []


def _mode(entry: Object, path: Path) -> Iterator[FieldError]:
    ip, mode = entry.get("ip"), entry.get("ipMode")
    if mode is None:
        if ip:
            yield required(path, "must be specified when `ip` is set")
    elif not ip:
        yield forbidden(path, "may not be specified when `ip` is not set")
    elif mode not in IP_MODES:
        yield not_supported(path, mode, IP_MODES)


def _hostname(name: str, path: Path) -> Iterator[FieldError]:
    for why in dns_subdomain(name) if name else []:
        yield invalid(path, name, why)
    if name and parse_address(name) is not None:
        yield invalid(path, name, "must be a DNS name, not an IP address")
