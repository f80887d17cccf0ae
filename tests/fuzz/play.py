"""A drawn world, predicted and played: every flow of `explain --all`, and some odder ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import product

from secondhop.experiment.chance import binomial
from secondhop.experiment.plan import SENT
from secondhop.lab.client import Lab
from secondhop.model.cluster import Address, Cluster, Family, Node, Service, ServicePort
from secondhop.model.fate import Fate, Trial
from secondhop.model.flow import Destination, Flow, Source
from secondhop.predict.matrix import cells, node_source, pod_source
from secondhop.predict.path import Paths
from secondhop.predict.services import FAMILIES
from secondhop.predict.story import outcome

ATTEMPTS = 4
LOCALHOST: dict[Family, Address] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_AT_ONCE = 48
UNCLAIMED = "no rule reported"
"""What an observation says of silence without a cause. A busy machine's queues cause some, so it is
tried again."""
UNSENT = "not sent (EPERM), and no rule reported why"
_IMPOSSIBLE = 1e-9
"""How rarely chance may spread connections so, in a campaign of a million spreads."""


def played(cluster: Cluster, kube_proxy: str | None = None) -> tuple[int, list[str]]:
    """How many flows were tried, and where prediction and packets differ. kube_proxy: a stock one,
    in the place of ours."""
    paths = Paths(cluster)
    planned = [(cell.service, cell.flow) for cell in cells(cluster)]
    planned += odd_flows(cluster, paths)
    services = {f: service for service, f in planned if f.destination.protocol in SENT}
    trials = []
    with Lab() as lab:
        ready = lab.start(cluster, kube_proxy)
        assert all(ready.values()), lab.notes
        lab.program(cluster)
        for part in together(list(services)):
            for flow, (observed, _) in zip(part, lab.observe(part, ATTEMPTS), strict=True):
                policy = services[flow].external_traffic_policy
                trial = Trial(policy, flow, outcome(paths.walk(flow)), observed)
                if not agrees(trial) and UNCLAIMED in observed.evidence:
                    [(again, _)] = lab.observe([flow], ATTEMPTS)
                    trial = replace(trial, observed=again)
                trials.append(trial)
    free = [trial for trial in trials if services[trial.flow].affinity_timeout is None]
    found = [told(trial) for trial in trials if not agrees(trial)]
    return len(trials), [*found, *uneven(free)]


def odd_flows(cluster: Cluster, paths: Paths) -> Iterator[tuple[Service, Flow]]:
    """To node ports by addresses that nobody publishes (second ones, cni0's, localhost), and from
    pods to the Services that they are of."""
    for service in cluster.services:
        for port, family in product(service.ports, FAMILIES):
            if service.cluster_ip(family) is None:
                continue
            pairs = list(_from_backends(cluster, service, port, family))
            for node in cluster.nodes if port.node_port else ():
                pairs += _by_odd_addresses(cluster, paths, node, family)
            for sender, ip in pairs:
                number = port.port if ip in service.cluster_ips else port.node_port
                yield service, Flow(sender, Destination("address", ip, number, port.protocol))


def _from_backends(
    cluster: Cluster, service: Service, port: ServicePort, family: Family
) -> Iterator[tuple[Source, Address]]:
    ready = [e for e in cluster.endpoints_of(service, port, family) if e.ready and e.node]
    for endpoint in ready[:1]:
        own = cluster.node(endpoint.node or "")
        if any(i.ip == endpoint.address for i in own.addresses):
            continue
        sender = Source("pod", endpoint.pod, endpoint.address, endpoint.node)
        nic = own.address(family) if port.node_port else None
        yield from ((sender, ip) for ip in (service.cluster_ip(family), nic) if ip)


def _by_odd_addresses(
    cluster: Cluster, paths: Paths, node: Node, family: Family
) -> Iterator[tuple[Source, Address]]:
    """Senders: the client, this node with its lone pod, and one other node with its own."""
    client = [Source("client", "client", i.ip) for i in cluster.client if i.version == family]
    others = [one for one in cluster.nodes if one is not node]
    inside = _of_node(node, family, paths)
    elsewhere = [source for other in others[:1] for source in _of_node(other, family, paths)]
    own = [i.ip for i in node.addresses if i.version == family]
    yield from product(client + inside + elsewhere, own[1:])
    yield from product(inside, [ip for ip in [node.bridge_address(family)] if ip])
    yield from product([s for s in inside if s.kind == "node"], [LOCALHOST[family]])


def _of_node(node: Node, family: Family, paths: Paths) -> list[Source]:
    both = pod_source(node, family, paths.pod_addresses), node_source(node, family)
    return [source for source in both if source]


def together(flows: Sequence[Flow]) -> Iterator[list[Flow]]:
    """Flows that can be tried at once: the network outside brings an address to one node at a
    time."""
    vias: defaultdict[object, dict[str | None, list[Flow]]] = defaultdict(dict)
    for flow in flows:
        vias[flow.destination.address].setdefault(flow.via, []).append(flow)
    turns: defaultdict[int, list[Flow]] = defaultdict(list)
    for groups in vias.values():
        for number, group in enumerate(groups.values()):
            turns[number] += group
    for turn in turns.values():
        for start in range(0, len(turn), _AT_ONCE):
            yield turn[start : start + _AT_ONCE]


def agrees(trial: Trial) -> bool:
    """As the trial itself; a stock kube-proxy's rules do not report whether they dropped or
    rejected a datagram that they did not let out of its node (semantics §13.2)."""
    if UNSENT in trial.observed.evidence:
        return trial.predicted.fate in (Fate.DROPPED, Fate.REJECTED)
    return trial.agree


def told(trial: Trial) -> str:
    """A disagreement in words."""
    flow, predicted, observed = trial.flow, trial.predicted, trial.observed
    pods = [f"{b.pod} as {b.source_ip} ({b.share:.2f})" for b in predicted.backends]
    seen = [f"{s.pod} as {s.source_ip} ({n})" for s, n in observed.seen.items()]
    return (
        f"{flow.source.name} ({flow.source.ip}) to {flow.destination.kind} {flow.destination}"
        f"/{flow.destination.protocol} via {flow.via}: predicted {predicted.fate}"
        f" {predicted.http or ', '.join(pods)} [{predicted.reason}]; observed {observed.fate}"
        f" {observed.http or ', '.join(seen)} [{observed.evidence}]"
    )


def uneven(trials: Sequence[Trial]) -> Iterator[str]:
    """Pods that got too many or too few of all connections that were predicted to give them a
    certain share."""
    drawn: Counter[tuple[str, float]] = Counter()
    tried: Counter[tuple[str, float]] = Counter()
    for trial in trials:
        shares: defaultdict[str, float] = defaultdict(float)
        for backend in trial.predicted.backends:
            shares[backend.pod] += backend.share
        for pod, share in shares.items():
            drawn[pod, share] += sum(
                n for seen, n in trial.observed.seen.items() if seen.pod == pod
            )
            tried[pod, share] += trial.observed.attempts
    for (pod, share), attempts in tried.items():
        if binomial(drawn[pod, share], attempts, min(share, 1.0)) < _IMPOSSIBLE:
            yield f"{pod} got {drawn[pod, share]} of {attempts}, predicted {share:.3f}"
