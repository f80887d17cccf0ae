"""Predictions for a terminal: the verdict first, then rows or steps with their reasons, then what
they were assumed from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ..model.cluster import Cluster, Service
from ..model.failover import Failover
from ..model.fate import Fate, Outcome, Step
from ..model.flow import Flow
from ..model.placement import Outlook
from ..model.version import KubeVersion
from .failover import sentences
from .fold import Folder, Row, Words, answer, count, doubt, entry, entry_node, hops, lands, sees
from .layout import FEW, columns, help_for, of_version, table, wrapped
from .placement import ONE_OF_MANY, Outlooks, all_placed, doubtful, example, remedies
from .reach import summary, verdict

_HEAD = ("TO", "FROM", "ANSWER", "LANDS ON", "POD SEES", "HOPS")
_KINDS = {
    "nodePort": "node port",
    "loadBalancerIP": "load balancer IP",
    "externalIP": "external IP",
    "clusterIP": "cluster IP",
    "healthCheckNodePort": "health check node port",
}
_LEGEND = {
    "dropped": "silence, the client times out",
    "rejected": "ICMP port-unreachable, the client sees connection refused",
    "closed": "the node's own reset: no rule matched",
    "unroutable": "an ICMP unreachable from the network",
    "loop": "the packet circles until its TTL ends",
    "mixed": "the answers of some pods find no way back",
    "everyone": "the client, a pod of each node and each node itself",
    "everyone else": "all senders but that node and its pods",
    "pod": "of a node, nobody's endpoint",
    "any pod": "such a pod of each node",
    "that node": "the one that TO names",
    "pod there": "a pod of the node that TO names",
    "its own": "the sender's own node",
    "the sender": "the sender's own address",
    "cni0": "the pods' bridge of the node that masquerades",
    "flannel.1": "the VXLAN device of the node that masquerades",
    "flannel-v6.1": "the same for IPv6",
    "possible": "in some placements of the pods, not in all",
    "its NIC": "the address of the node that masquerades",
}


def overview(
    cluster: Cluster,
    services: Sequence[Service],
    rows: Iterable[Row],
    outlooks: Outlooks = all_placed,
    failover: Failover | None = None,
) -> Iterator[str]:
    """Where the outside client lands through every entry. rows: the client's, from outside.
    failover: of a single Service."""
    folder = Folder(cluster)
    of = _by_service(services, rows)
    yield from summary(of, cluster.kube_version, outlooks)
    if len(of) == 1:
        for service, entries in of.items():
            yield from _helps(service, entries, outlooks(service))
    for service, entries in of.items():
        outlook = outlooks(service)
        if len(of) > 1 and entries:
            yield from ("", *wrapped(verdict(service, entries, outlook), ""))
            yield from () if outlook is None else remedies(outlook)
        if entries:
            yield from ("",) if outlook is None else ("", example(outlook))
            yield from _entries(folder, entries)
    told = () if failover is None else tuple(sentences(failover))
    yield from ("", *told) if told else ()


def _helps(service: Service, entries: Sequence[Row], outlook: Outlook | None) -> Iterator[str]:
    """What would help, in lines."""
    if outlook is not None and doubtful(entries):
        yield from remedies(outlook)
        return
    fates = {row.outcome.fate for row in entries}
    yield from wrapped(help_for(service.external_traffic_policy, fates), "")


def everything(
    cluster: Cluster,
    services: Sequence[Service],
    rows: Iterable[Row],
    outlooks: Outlooks = all_placed,
) -> Iterator[str]:
    """Every source to every destination: equal rows folded, and a legend."""
    folder = Folder(cluster)
    of = _by_service(services, rows)
    outside = {service: [r for r in rows if from_outside(r)] for service, rows in of.items()}
    yield from summary(outside, cluster.kube_version, outlooks)
    used = set[str]()
    for service, all_rows in of.items():
        if all_rows:
            yield from () if len(of) == 1 else ("", str(service))
            cells = list(_compact(folder, all_rows))
            used.update(_words(cells))
            outlook = outlooks(service)
            yield from ("",) if outlook is None else ("", example(outlook))
            for lines in columns([_HEAD, *cells]):
                yield from lines
    yield ""
    yield from legend(used)


def _words(cells: Iterable[Sequence[str]]) -> Iterator[str]:
    """Every word that cells use, alone or as in `pod of gz1`."""
    for row in cells:
        for cell in row:
            for part in cell.split(", "):
                yield from (part, part.partition(" of ")[0])


def legend(used: Collection[str]) -> Iterator[str]:
    """What those of the words mean that need it."""
    for word, meaning in _LEGEND.items():
        if word in used:
            yield from wrapped(f"{word}: {meaning}", "")


def flow(
    service: Service | None, one: Flow, outcome: Outcome, version: KubeVersion
) -> Iterator[str]:
    """One flow: its fate, every step with its rule, and the backends."""
    fate = f"{outcome.fate}: " if outcome.fate is Fate.DELIVERED else ""
    sure = "possible, not certain: " if outcome.certainty == "possible" else ""
    yield from wrapped(f"{sure}{fate}{outcome.reason} {of_version(version)}", "")
    yield from wrapped(asked(service, one), "")
    if outcome.certainty is not None:
        told = f"Nobody has placed the pods: what is named here is {ONE_OF_MANY}."
        yield from wrapped(told, "")
    yield ""
    for number, step in enumerate(outcome.steps, 1):
        yield from _step(number, step)
    if outcome.backends:
        yield ""
        cells = [("POD", "NODE", "ADDRESS", "SHARE", "SEES", "HOPS")]
        for b in outcome.backends:
            cells.append(
                (b.pod, b.node or "-", b.address, f"{b.share:.1%}", str(b.source_ip), str(b.hops))
            )
        for lines in columns(cells):
            yield from lines


def from_outside(row: Row) -> bool:
    """Whether it is the outside client's, to an entry meant for it. The client stands first in
    every row that it is in."""
    return row.sources[0].kind == "client" and row.destination.kind != "clusterIP"


def _by_service(services: Sequence[Service], rows: Iterable[Row]) -> dict[Service, list[Row]]:
    found: dict[str, list[Row]] = {str(service): [] for service in services}
    for row in rows:
        found[str(row.service)].append(row)
    return {service: found[str(service)] for service in services}


def _entries(folder: Folder, rows: Sequence[Row]) -> Iterator[str]:
    """A row for each entry and its reason; of many that are alike, one stands for all."""
    cells = [("THROUGH", "ANSWER", "LANDS ON", "POD SEES", "HOPS")]
    reasons = [""]
    for words, alike in folder.fold(rows):
        if count(alike) > FEW:
            cells.append((entry(alike), words.answer, words.lands, words.sees, words.hops))
            reasons.append(f"for example {entry_node(alike[0])}: {alike[0].outcome.reason}")
            continue
        for row in alike:
            told = row.outcome
            cells.append((entry([row]), answer(told), lands(told), sees(told), hops(told)))
            reasons.append(told.reason)
    yield from table(cells, reasons)


def _compact(folder: Folder, rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """The cells of the full table; an entry is named once."""
    before = ""
    for words, alike in folder.fold(rows):
        to = entry(alike)
        yield ("" if to == before else to, folder.senders(alike), *landing(words, alike))
        before = to


def landing(words: Words, alike: Sequence[Row]) -> tuple[str, ...]:
    """Names and addresses where there is one flow or they are equal, else what they are of."""
    first = alike[0]
    told = first.outcome
    fate = words.answer if told.http else f"{told.fate}{doubt(told)}"
    one_sender = len(first.sources) == 1
    literal = len(alike) == 1 and (one_sender or entry_node(first) is not None)
    own = "the sender" in words.sees and not one_sender
    return (
        fate,
        lands(first.outcome) if literal else words.lands,
        sees(first.outcome) if literal and not own else words.sees,
        words.hops,
    )


def asked(service: Service | None, one: Flow) -> str:
    """A flow in words. service: as which it is dialled, if any."""
    source, to = one.source, one.destination
    sender = source.name if source.kind in ("client", "address") else f"{source.kind} {source.name}"
    ip = "" if source.kind in ("node", "address") else f" ({source.ip})"
    kind = f", {_KINDS[to.kind]}" if to.kind in _KINDS else ""
    owner = f" of Service {service}" if service else ""
    place = f" on {to.node}" if to.node else ""
    via = f", brought to {one.via}" if one.via else ""
    return f"{sender}{ip} to {to}/{to.protocol}{kind}{owner}{place}{via}"


def _step(number: int, step: Step) -> Iterator[str]:
    yield from wrapped(f"{number}. {step.node}: {step.what}", "", "   ")
    chain = f" [{step.chain}]" if step.chain else ""
    yield from wrapped(f"{step.rule}{chain}", "   - ", "     ")
