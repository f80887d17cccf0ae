"""Which IP families a Service shall have clusterIPs of (semantics §1.5, §8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .families import clusterip_rules
from .field import FieldError, Gates, Object, invalid
from .syntax import family
from .values import FAMILIES
from .view import View

_POLICY = ("spec", "ipFamilyPolicy")


class Choice(NamedTuple):
    """The fields of the spec that follow, or the refusals. settled: no address is to be taken or
    given back."""

    fields: Object
    errors: Sequence[FieldError] = ()
    settled: bool = False


def choose_families(
    service: Object, old: View | None, available: Sequence[str], gates: Gates
) -> Choice:
    """ipFamilyPolicy, ipFamilies and what is left of clusterIPs, in a cluster with these families,
    the default first."""
    view = View(service)
    if not view.has_cluster_ip:
        return Choice({})
    if old is not None and _unchanged(view, old):
        return Choice({}, settled=True)
    fields: Object = {"ipFamilyPolicy": _policy(view, old)}
    view = View({**service, "spec": {**view.spec, **fields}})
    if errors := list(clusterip_rules(view, old, gates)):
        return Choice({}, errors)
    errors = list(_shrinking(view, old)) if old is not None else []
    ips, families = _shrunk(view, old)
    errors += _single(view, ips, families)
    for n, text in enumerate(ips if not view.headless else []):
        if n >= len(families) and family(text) not in available:
            why = f"{family(text)} is not configured on this cluster"
            errors.append(invalid(("spec", "clusterIPs", n), ips, why))
    if errors:
        return Choice({}, errors)
    families += [family(text) for text in ips[len(families) :] if not view.headless]
    if view.headless and not view.spec.get("selector"):
        families = _widened(families or [available[0]], view, FAMILIES)
        return Choice({**fields, "ipFamilies": families})
    if errors := list(_unavailable(view, families, available)):
        return Choice({}, errors)
    families = _widened(families or [available[0]], view, available)
    fields |= {"ipFamilies": families} | ({"clusterIPs": ips} if ips else {})
    return Choice(fields)


def _unchanged(new: View, old: View) -> bool:
    """A PreferDualStack Service stays what it was made, whatever the cluster has become."""
    return (
        new.policy == "PreferDualStack"
        and old.policy in ("PreferDualStack", None)
        and (new.type, new.ips, new.families) == (old.type, old.ips, old.families)
    )


def _policy(new: View, old: View | None) -> str:
    if new.policy is not None:
        return new.policy
    if old is not None and old.policy is not None:
        return old.policy
    selectorless = new.ip == "None" and not new.spec.get("selector")
    return "RequireDualStack" if selectorless else "SingleStack"


def _shrinking(new: View, old: View) -> Iterator[FieldError]:
    """Without SingleStack the second address or family cannot be left out."""
    if new.policy == "SingleStack":
        return
    kinds = (("cluster IP", new.ips, old.ips), ("IP family", new.families, old.families))
    for what, now, before in kinds:
        if 0 < len(now) < len(before):
            why = f"must be 'SingleStack' to release the secondary {what}"
            yield invalid(_POLICY, new.policy, why)


def _shrunk(new: View, old: View | None) -> tuple[list[str], list[str]]:
    """clusterIPs and ipFamilies; of an unchanged pair SingleStack keeps the first."""
    ips, families = list(new.ips), list(new.families)
    if old is not None and new.policy == "SingleStack":
        if ips == old.ips:
            ips = ips[:1]
        if families == old.families:
            families = families[:1]
    return ips, families


def _single(new: View, ips: Sequence[str], families: Sequence[str]) -> Iterator[FieldError]:
    for what, given in (("cluster IPs", ips), ("IP families", families)):
        if new.policy == "SingleStack" and len(given) == 2:
            values = "'RequireDualStack' or 'PreferDualStack'"
            why = f"must be {values} when multiple {what} are specified"
            yield invalid(_POLICY, new.policy, why)


def _unavailable(
    new: View, families: Sequence[str], available: Sequence[str]
) -> Iterator[FieldError]:
    if new.policy == "RequireDualStack" and len(available) < 2:
        why = "this cluster is not configured for dual-stack services"
        yield invalid(_POLICY, new.policy, why)
    for n, name in enumerate(families):
        if name not in available:
            yield invalid(("spec", "ipFamilies", n), name, "not configured on this cluster")


def _widened(families: list[str], new: View, possible: Sequence[str]) -> list[str]:
    """The second family too, if the policy wants it and it is possible."""
    if new.policy == "SingleStack" or len(families) > 1:
        return families
    return families + [name for name in possible if name not in families]
