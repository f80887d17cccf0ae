"""Admission plugins with a rule for Services (semantics §1.5). None is on by default."""

from __future__ import annotations

from .field import Object

EXTERNAL_IPS_DENIED = "Use of external IPs is denied by admission control"


def external_ips_denied(new: Object, old: Object | None = None) -> str:
    """DenyServiceExternalIPs: why a write is answered with 403; empty when it is admitted. What a
    stored Service has it may keep."""
    given, stored = (
        set((service.get("spec") or {}).get("externalIPs") or []) for service in (new, old or {})
    )
    return "" if given <= stored else EXTERNAL_IPS_DENIED
