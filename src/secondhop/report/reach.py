"""The verdict on a Service: whether the outside client is served through every entry, by one that
keeps its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..model.cluster import Service
from ..model.fate import Fate
from ..model.placement import Outlook
from ..model.version import KubeVersion
from . import placement
from .fold import Row, count, entry_node, through
from .layout import WORDS, listed, of_version, wrapped
from .placement import Outlooks, doubtful

_NAMED = 5


def verdict(service: Service, rows: Sequence[Row], outlook: Outlook | None = None) -> str:
    """One sentence. rows: the client's, of this Service. outlook: over all placements, if some of
    its pods are not placed."""
    if outlook is not None and (doubtful(rows) or _shows_some(service, outlook)):
        return placement.verdict(service, outlook)
    told = _verdict(service, rows)
    return told if outlook is None or not rows else f"{told}, wherever its pods are placed"


def _shows_some(service: Service, outlook: Outlook) -> bool:
    """Whether it hangs on the placement who sees the client's address."""
    return outlook.host_network and service.external_traffic_policy == "Cluster"


def _verdict(service: Service, rows: Sequence[Row]) -> str:
    doors: dict[str, list[Row]] = {}
    for row in rows:
        if row.destination.kind != "healthCheckNodePort":
            doors.setdefault(_door(row), []).append(row)
    if not doors:
        return f"{service}: {_no_door(service)}"
    alike: dict[str, list[str]] = {}
    for door, entries in doors.items():
        alike.setdefault(_served(service, entries), []).append(door)
    if len(alike) == 1:
        return f"{service}: {next(iter(alike))}"
    return f"{service}: " + "; ".join(f"{listed(names)}: {says}" for says, names in alike.items())


def summary(
    of: Mapping[Service, Sequence[Row]], version: KubeVersion, outlooks: Outlooks
) -> Iterator[str]:
    """The verdict on all these Services. of: the client's rows, from outside, by Service."""
    stamp = of_version(version)
    if len(of) == 1:
        for service, rows in of.items():
            yield from wrapped(f"{verdict(service, rows, outlooks(service))} {stamp}", "")
        return
    losing = {service for service, rows in of.items() if any(map(_is_lost, rows))}
    unsure = {s for s, rows in of.items() if s not in losing and doubtful(rows)}
    shut = {service for service, rows in of.items() if not rows}
    parts = (
        _part([s for s in of if s in losing], "not served through some entry"),
        _part([s for s in of if s in unsure], "served through every entry or not, by placement"),
        _part([s for s in of if s not in losing | unsure | shut], "served through every entry"),
        _part([s for s in of if s in shut], "without a way in from outside"),
    )
    yield from wrapped(f"{len(of)} Services: {', '.join(filter(None, parts))} {stamp}", "")


def _part(services: Sequence[Service], what: str) -> str:
    names = f" ({listed(map(str, services))})" if len(services) <= _NAMED else ""
    return f"{len(services)} {what}{names}" if services else ""


def _is_lost(row: Row) -> bool:
    """In every placement. Health checks answer 503 for a reason, and are delivered."""
    return row.outcome.fate is not Fate.DELIVERED and row.outcome.certainty != "possible"


def _no_door(service: Service) -> str:
    """Why no row is about this Service."""
    if any(port.node_port for port in service.ports) or service.ingress or service.external_ips:
        return "the client has no address of a family by which this Service can be entered"
    return f"no way in from outside (type {service.type})"


def _door(row: Row) -> str:
    """An entry whichever node it leads to."""
    to = row.destination
    over = " over IPv6" if to.address.version == 6 else ""
    if to.kind == "nodePort":
        return f"node port {to.port}/{to.protocol}{over}"
    return f"{to}/{to.protocol}"


def _served(service: Service, rows: Sequence[Row]) -> str:
    policy = service.external_traffic_policy
    lost = [row for row in rows if _is_lost(row)]
    if not lost:
        return f"{policy} serves through {_every(rows)} and {_client_ip(rows)}"
    told = " or ".join(Counter(WORDS[row.outcome.fate] for row in lost))
    if len(lost) == len(rows):
        return f"{policy} serves through no node: {told}"
    served = [row for row in rows if not _is_lost(row)]
    nodes = through(lost, f"of {count(rows)} nodes")
    return f"{policy} loses what enters through {nodes}: {told}; elsewhere it {_client_ip(served)}"


def _every(rows: Sequence[Row]) -> str:
    return "every node" if count(rows) > 1 else f"the only node ({entry_node(rows[0])})"


def _client_ip(rows: Sequence[Row]) -> str:
    kept = [row for row in rows if row.outcome.client_ip == "kept"]
    if len(kept) == len(rows):
        return "keeps the client's address"
    if not kept:
        return "hides the client's address"
    nodes = through(kept, f"of {count(rows)} nodes")
    return f"keeps the client's address only through {nodes}"
