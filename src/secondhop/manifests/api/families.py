"""Rules for clusterIPs, ipFamilies and ipFamilyPolicy (semantics §1.5, §8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .field import FieldError, Gates, duplicate, invalid, not_supported, required
from .syntax import address, family
from .values import FAMILIES, FAMILY_POLICIES
from .view import View

_IPS = ("spec", "clusterIPs")
_FAMILIES = ("spec", "ipFamilies")
_POLICY = ("spec", "ipFamilyPolicy")
_FIXED = "may not change once set"


def clusterip_rules(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    """What the three fields say, each by itself and of each other."""
    if not service.has_cluster_ip:
        return
    yield from _in_sync(service)
    yield from _families(service)
    malformed = list(_malformed(service, old, gates))
    yield from malformed
    if len(service.ips) > 2:
        yield invalid(_IPS, service.ips, "may only hold up to 2 values")
    if malformed:
        return
    if len(service.ips) > 1 and set(map(family, service.ips)) != set(FAMILIES):
        yield invalid(_IPS, service.ips, "may specify no more than one IP for each IP family")
    if not service.headless:
        for n, (ip, wanted) in enumerate(zip(service.ips, service.families, strict=False)):
            if wanted in FAMILIES and family(ip) != wanted:
                why = f"expected an {wanted} value as indicated by `ipFamilies[{n}]`"
                yield invalid((*_IPS, n), ip, why)


def _in_sync(service: View) -> Iterator[FieldError]:
    if service.ip and not service.ips:
        yield required(_IPS)
    elif service.ip and service.ips[0] != service.ip:
        yield invalid(_IPS, service.ips, "first value must match `clusterIP`")
    elif service.ips and not service.ip:
        yield invalid(_IPS, service.ips, "must be empty when `clusterIP` is not specified")


def _families(service: View) -> Iterator[FieldError]:
    for n, name in enumerate(service.families):
        if name not in FAMILIES:
            yield not_supported((*_FAMILIES, n), name, FAMILIES)
        if name in service.families[:n]:
            yield duplicate((*_FAMILIES, n), name)
    if service.policy is not None and service.policy not in FAMILY_POLICIES:
        yield not_supported(_POLICY, service.policy, FAMILY_POLICIES)


def _malformed(service: View, old: View | None, gates: Gates) -> Iterator[FieldError]:
    """clusterIPs that are no addresses; what was stored may stay. `None` stands alone."""
    stored = old.ips if old else []
    for n, text in enumerate(service.ips):
        if n == 0 and text == "None":
            if len(service.ips) > 1:
                yield invalid(_IPS, service.ips, "'None' must be the first and only value")
        elif text not in stored:
            for why in address(text, strict=gates.strict_addresses):
                yield invalid((*_IPS, n), text, why)


def ips_update(new: View, old: View) -> Iterator[FieldError]:
    """clusterIPs stay, except that a second one may be added, or released with SingleStack."""
    if not (new.has_cluster_ip and old.has_cluster_ip) or (new.headless and old.headless):
        return
    if old.ips and not new.ips:
        yield invalid((*_IPS, 0), new.ips, "primary clusterIP can not be unset")
    for n in _changed(new.ips, old.ips):
        yield invalid((*_IPS, n), new.ips, _FIXED)
    if len(old.ips) > len(new.ips) == 1:
        yield from _released(new, "clusterIP")


def families_update(new: View, old: View) -> Iterator[FieldError]:
    """Likewise ipFamilies; a headless Service may choose others."""
    if not (new.has_cluster_ip and old.has_cluster_ip) or new.headless or old.headless:
        return
    if len(old.families) > len(new.families) and not new.ips:
        yield invalid((*_FAMILIES, 0), new.families, "primary ipFamily can not be unset")
    for _ in _changed(new.families, old.families):
        yield invalid((*_FAMILIES, 0), new.families, _FIXED)
    if len(old.families) > len(new.families) == 1:
        yield from _released(new, "ipFamily")


def _released(new: View, what: str) -> Iterator[FieldError]:
    if new.policy != "SingleStack":
        why = f"must be set to 'SingleStack' when releasing the secondary {what}"
        yield invalid(_POLICY, new.policy, why)


def _changed(new: Sequence[str], old: Sequence[str]) -> list[int]:
    """Where two lists differ: everywhere when they are of one length, else in their first entry."""
    compared = len(old) if len(new) == len(old) else 1
    return [n for n, (a, b) in enumerate(zip(new[:compared], old, strict=False)) if a != b]
