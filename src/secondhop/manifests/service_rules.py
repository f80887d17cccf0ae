"""What the API server refuses in a Service: its paths, its words (semantics §1.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from .problems import Path, invalid, shown
from .resource import BAD_IP, Resource, bad_network

_EXTERNAL = ("NodePort", "LoadBalancer")
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_FAMILY = {4: "IPv4", 6: "IPv6"}


class _Checks:
    """One Service under examination."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.spec: dict[str, Any] = resource.get("spec") or {}
        self.type: str = self.spec.get("type") or "ClusterIP"
        self.ports: list[dict[str, Any]] = self.spec.get("ports") or []
        self.ips: list[str] = self.spec.get("clusterIPs") or []
        if not self.ips and self.spec.get("clusterIP"):
            self.ips = [self.spec["clusterIP"]]
        self.sound = True

    def refuse(self, path: Path, message: str, remedy: str, field: str | None = None) -> None:
        self.sound = False
        self.resource.refuse(path, message, remedy, field)

    def forbid(self, name: str, why: str, remedy: str, field: str | None = None) -> None:
        self.refuse(("spec", name), f"Forbidden: {why}", remedy, field)

    @property
    def local_balancer(self) -> bool:
        return self.type == "LoadBalancer" and self.spec.get("externalTrafficPolicy") == "Local"


def check(resource: Resource) -> bool:
    """Whether the API server would take this Service as a new one; every refusal is a problem."""
    checks = _Checks(resource)
    for rule in _RULES:
        rule(checks)
    return checks.sound


def _name(c: _Checks) -> None:
    c.sound &= c.resource.label(("metadata", "name"), c.resource.name)


def _ports(c: _Checks) -> None:
    if not c.ports and not (c.type == "ExternalName" or c.ips == ["None"]):
        c.refuse(("spec", "ports"), "Required value", "List at least one port.")
    for n, port in enumerate(c.ports):
        path: Path = ("spec", "ports", n)
        c.sound &= c.resource.port((*path, "port"), port["port"])
        _port_name(c, path, port.get("name") or "")
        _target(c, (*path, "targetPort"), port.get("targetPort"))
        if port.get("nodePort") and c.type == "ClusterIP":
            c.refuse(
                (*path, "nodePort"),
                "Forbidden: may not be used when `type` is 'ClusterIP'",
                "Set spec.type to NodePort or LoadBalancer, or remove nodePort.",
            )


def _port_name(c: _Checks, path: Path, name: str) -> None:
    if name:
        c.sound &= c.resource.label((*path, "name"), name)
    elif len(c.ports) > 1:
        c.refuse((*path, "name"), "Required value", "Name every port when there are several.")


def _target(c: _Checks, path: Path, target: int | str | None) -> None:
    if not target:
        return
    if isinstance(target, int):
        c.sound &= c.resource.port(path, target)
    else:
        lettered = any(letter.isalpha() for letter in target)
        if not (
            len(target) <= 15 and lettered and c.resource.is_label(target) and "--" not in target
        ):
            c.refuse(
                path,
                invalid(target, "must be a port number or the name of a container's port"),
                "A name has at most 15 of a-z, 0-9, '-', one letter at least; a number no quotes.",
            )


def _duplicates(c: _Checks) -> None:
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "": lambda port: (port.get("protocol") or "TCP", port["port"]),
        "name": lambda port: port.get("name") or None,
        "nodePort": lambda port: (
            (port.get("protocol") or "TCP", port["nodePort"]) if port.get("nodePort") else None
        ),
    }
    for field, key in keys.items():
        seen: Counter[Any] = Counter()
        for n, port in enumerate(c.ports):
            value = key(port)
            if value is not None and seen[value]:
                path: Path = ("spec", "ports", n, *([field] if field else []))
                text = "/".join(map(str, reversed(value))) if isinstance(value, tuple) else value
                c.refuse(
                    path, f"Duplicate value: {shown(text)}", "Change or remove one of the two."
                )
            seen[value] += 1


def _external_policy(c: _Checks) -> None:
    policy = c.spec.get("externalTrafficPolicy")
    accessible = c.type in _EXTERNAL or (
        c.type == "ClusterIP" and c.spec.get("externalIPs") and c.ips != ["None"]
    )
    if policy and not accessible:
        c.refuse(
            ("spec", "externalTrafficPolicy"),
            invalid(policy, "may only be set for externally-accessible services"),
            "Set spec.type to NodePort or LoadBalancer, or remove the field.",
        )
    port = c.spec.get("healthCheckNodePort")
    if port and not c.local_balancer:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        c.refuse(("spec", "healthCheckNodePort"), invalid(port, why), "Remove it: it is allocated.")


def _balancer_only(c: _Checks) -> None:
    if c.type == "LoadBalancer":
        return
    why = "may only be used when `type` is 'LoadBalancer'"
    remedy = "Remove it, or set spec.type to LoadBalancer."
    if c.spec.get("loadBalancerSourceRanges"):
        c.forbid("loadBalancerSourceRanges", why, remedy, "spec.LoadBalancerSourceRanges")
    if _RANGES in (c.resource.get("metadata", "annotations") or {}):
        c.refuse(("metadata", "annotations", _RANGES), f"Forbidden: {why}", remedy)
    if c.spec.get("allocateLoadBalancerNodePorts") is not None:
        name = "allocateLoadBalancerNodePorts"
        c.forbid(name, why, remedy, name)
    if c.spec.get("loadBalancerClass") is not None:
        c.forbid("loadBalancerClass", why, remedy)
    if c.resource.get("status", "loadBalancer", "ingress"):
        c.refuse(
            ("status", "loadBalancer", "ingress"),
            "Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
            remedy,
        )


def _source_ranges(c: _Checks) -> None:
    for n, text in enumerate(c.spec.get("loadBalancerSourceRanges") or []):
        try:
            ip_network(text.strip(), strict=not c.resource.from_server)
            sound = "/" in text
        except ValueError:
            sound = False
        if not sound:
            c.refuse(("spec", "loadBalancerSourceRanges", n), *bad_network(text.strip()))


def _affinity(c: _Checks) -> None:
    path: Path = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    seconds = c.resource.get(*path)
    sticky = c.spec.get("sessionAffinity") == "ClientIP"
    if sticky and seconds is not None and not 1 <= seconds <= 86400:
        why = "must be greater than 0 and less than 86400"
        c.refuse(path, invalid(seconds, why), "Give seconds; 10800 is the default.")


def _external_ips(c: _Checks) -> None:
    for n, text in enumerate(c.spec.get("externalIPs") or []):
        path: Path = ("spec", "externalIPs", n)
        if why := _why_not_external(text):
            c.refuse(path, invalid(text, why), "Give an address that the network routes to a node.")


def _why_not_external(text: str) -> str:
    """Why a text cannot be an external IP; empty when it can."""
    try:
        ip = ip_address(text)
    except ValueError:
        octets = text.split(".")
        if len(octets) == 4 and all(o.isascii() and o.isdigit() and int(o) < 256 for o in octets):
            return "must not have leading 0s"
        return BAD_IP
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return "must not be an IPv4-mapped IPv6 address"
    if ip.is_unspecified:
        return f"may not be unspecified ({ip})"
    if ip.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if ip.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    multicast = ip_network("224.0.0.0/24" if ip.version == 4 else "ff02::/16")
    if ip in multicast:
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return ""


def _ingress(c: _Checks) -> None:
    base: Path = ("status", "loadBalancer", "ingress")
    for n, entry in enumerate(c.resource.get(*base) or []):
        ip, mode = entry.get("ip"), entry.get("ipMode")
        if ip and not _is_ip(ip):
            c.refuse((*base, n, "ip"), invalid(ip, BAD_IP), "Give one address.")
        if mode and not ip:
            c.refuse(
                (*base, n, "ipMode"),
                "Forbidden: may not be set when `ip` is not set",
                "Remove ipMode, or give the ip.",
            )


def _cluster_ips(c: _Checks) -> None:
    path: Path = ("spec", "clusterIPs")
    if c.type == "ExternalName":
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if c.ips if name == "clusterIPs" else c.spec.get(name):
                c.forbid(name, "may not be set for ExternalName services", "Remove it.")
        if not c.spec.get("externalName"):
            c.refuse(("spec", "externalName"), "Required value", "Give the DNS name to point to.")
        return
    if c.spec.get("clusterIP") and c.ips[0] != c.spec["clusterIP"]:
        why = invalid(c.ips, "first value must match `clusterIP`")
        c.refuse(path, why, "Repeat clusterIP as the first of clusterIPs.")
    if c.ips[:1] == ["None"]:
        if len(c.ips) > 1:
            why = invalid("None", "'None' must be the first and only value")
            c.refuse((*path, 0), why, "Keep 'None' alone, or the addresses.")
        elif c.type in _EXTERNAL:
            why = invalid("None", f"may not be set to 'None' for {c.type} services")
            c.refuse((*path, 0), why, "Remove clusterIP, or use type ClusterIP.")
        return
    _families(c, path)


def _families(c: _Checks, path: Path) -> None:
    """clusterIPs, ipFamilies and ipFamilyPolicy against one another."""
    if len(c.ips) > 2:
        c.refuse(path, invalid(c.ips, "may only hold up to 2 values"), "One for each family.")
    for n, text in enumerate(c.ips):
        if not _is_ip(text):
            c.refuse((*path, n), invalid(text, BAD_IP), "Give an address, or leave it out.")
            return
    versions = [_FAMILY[ip_address(ip).version] for ip in c.ips]
    families = c.spec.get("ipFamilies") or []
    for name, values in (("clusterIPs", versions), ("ipFamilies", families)):
        if len(set(values)) < len(values):
            why = "may specify no more than one IP for each IP family"
            c.refuse(("spec", name), invalid(values, why), "Keep one for each family.")
        elif len(values) > 1 and c.spec.get("ipFamilyPolicy") in (None, "SingleStack"):
            what = "cluster IPs are" if name == "clusterIPs" else "IP families are"
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} specified"
            got = c.spec.get("ipFamilyPolicy")
            remedy = "Set ipFamilyPolicy to PreferDualStack."
            if got or not c.resource.from_server:
                c.refuse(("spec", "ipFamilyPolicy"), invalid(got, why), remedy)
    for n, (version, family) in enumerate(zip(versions, families, strict=False)):
        if version != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{n}]`"
            c.refuse((*path, n), invalid(c.ips[n], why), "Make the two agree.")


def _distribution(c: _Checks) -> None:
    annotations = c.resource.get("metadata", "annotations") or {}
    mode, hints = (f"service.kubernetes.io/topology-{n}" for n in ("mode", "aware-hints"))
    if mode in annotations and hints in annotations and annotations[mode] != annotations[hints]:
        c.refuse(
            ("metadata", "annotations", mode),
            invalid(annotations[mode], f"must match annotations[{hints}] when both are specified"),
            "Keep only topology-mode.",
        )


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_RULES: tuple[Callable[[_Checks], None], ...] = (
    _name,
    _ports,
    _duplicates,
    _external_policy,
    _balancer_only,
    _source_ranges,
    _affinity,
    _external_ips,
    _ingress,
    _cluster_ips,
    _distribution,
)
