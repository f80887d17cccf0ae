"""All Services of the input on their way through one allocator (semantics §1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.cluster import Network
from .api.allocator import Allocator
from .api.field import FieldError
from .api.view import View
from .resource import Resource
from .service_model import to_model
from .service_rules import refuse
from .services import Declared, Unsound


def allocated(
    declared: Sequence[Declared],
    unsound: Sequence[Unsound],
    ranges: Sequence[Network],
    *,
    stated: bool,
) -> list[Declared]:
    """All Services that the API server would take, with what it would choose for them; what they
    ask for goes first.

    The unsound come last, for what else is wrong with them. ranges: the Service CIDRs; stated: they
    are the user's, so that an address outside is refused.
    """
    allocator = Allocator(ranges, guessed=not stated)
    allocator.spare(one.service_object for one in declared)
    holders: dict[object, Resource] = {}
    done = []
    everyone: list[Declared | Unsound] = [*declared, *unsound]
    for one in everyone:
        stored = one.resource.from_server
        write = allocator.create(one.service_object, stored=stored, thorough=True)
        for error in write.errors:
            if isinstance(one, Declared) or error.path not in one.fields:
                refuse(one.resource, error, _hint(error, holders))
        if isinstance(one, Unsound) or write.errors:
            continue
        view = View(write.service)
        for key in (*view.own_node_ports(), view.health_port, *view.ips):
            holders.setdefault(key, one.resource)
        if write.service != one.service_object:
            service = to_model(one.resource, write.service)
            one = one._replace(service_object=write.service, service=service)
        done.append(one)
    return done


def _hint(error: FieldError, holders: dict[object, Resource]) -> str:
    """Who has what is already allocated."""
    if not error.detail.endswith("already allocated"):
        return ""
    value = error.value
    asked: Iterable[object] = value if isinstance(value, list) else [value]
    holder = next((holders[key] for key in asked if key in holders), None)
    return f"{holder} has it." if holder else ""
