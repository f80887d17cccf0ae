"""`secondhop probe`: a Service of a real cluster tried with packets, touching nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import click

from ..errors import UsageError
from .cluster import Chosen, cluster_options
from .source import Input, alternatives, choose, files_option, output_option, proxy_options

if TYPE_CHECKING:
    from ..live.inside import Post
    from ..live.probing import Prober
    from ..live.snapshot import Snapshot
    from ..live.telling import Teller
    from ..manifests import World
    from ..model.cluster import Address, Service
    from ..model.flow import Source
    from ..model.probing import Probe

_DISAGREE = 4
_LAST_NODE_PORT = 32767


class _Dialling(NamedTuple):
    """How to dial. seconds: until silence is silence."""

    seconds: float
    teller: Teller
    attempts: int


@click.command()
@click.argument("service", metavar="svc/NAME")
@cluster_options(everywhere=False)
@click.option("-n", "--namespace", help="The Service's. Default: the context's.")
@files_option("A Lab file: what the cluster does not say, the client's address for example.")
@proxy_options
@click.option(
    "--attempts",
    type=click.IntRange(1, 1000),
    default=12,
    show_default=True,
    help="Fresh connections to each address.",
)
@click.option(
    "--connect-timeout",
    "seconds",
    type=click.FloatRange(0.05, 60),
    default=2.0,
    show_default=True,
    help="Seconds after which silence is silence.",
)
@click.option(
    "--source-from",
    "pattern",
    metavar="REGEX",
    help="Its first group finds the address that the backend saw in the page at /.",
)
@click.option(
    "--from",
    "place",
    type=click.Choice(["here", "pod", "node"]),
    default="here",
    show_default=True,
    help="Who sends: this machine, a short-lived pod, or one with its node's network.",
)
@click.option("--on", "node", metavar="NODE", help="With --from pod or node: which node it is on.")
@click.option(
    "--image",
    default="curlimages/curl",
    show_default=True,
    help="With --from pod or node: has curl, and the nodes can pull it.",
)
@output_option()
def command(
    service: str,
    files: tuple[str, ...],
    namespace: str | None,
    proxy_mode: str | None,
    kube_version: str | None,
    attempts: int,
    seconds: float,
    pattern: str | None,
    place: str,
    node: str | None,
    image: str,
    output: str,
    cluster: Chosen,
) -> None:
    """Try every address of a Service of a real cluster from this machine, and compare.

    Node ports on every node, load balancer and external addresses, health check node ports: who
    answers, how fast, and, where the backend tells, which pod and which source address it saw. Only
    reads the cluster, unless --from pod or node puts a pod into a namespace of its own, which goes
    with it. Without --context kubectl's current one. An address that nothing answers at
    is told apart from one that a rule drops at. Exit 4 where prediction and packets disagree.
    """
    from ..live.inside import Post
    from ..live.telling import by_pattern, known

    teller = known if pattern is None else by_pattern(pattern)
    begun = time.monotonic()
    given, snapshot = cluster.snapshot(
        Input(files, namespace, proxy_mode, kube_version), verdict=False, here=True
    )
    world = given.world(given.documents())
    chosen = choose(world, service, given.namespace)
    predicted = snapshot.proxy.modelled or proxy_mode is not None
    how = _Dialling(seconds, teller, attempts)
    asked = _Asked(world, chosen, snapshot, how, predicted)
    if place == "here":
        if node is not None:
            raise UsageError("--on needs --from", "Add --from pod or --from node.")
        found = _from_here(asked)
    else:
        found = _from_pod(asked, cluster, Post(image, place == "node", node))
    notes = (*world.notes, *_untried(chosen, snapshot))
    world = replace(world, notes=notes)
    _print(world, chosen, found, time.monotonic() - begun, output)
    if not found.agree:
        sys.exit(_DISAGREE)


class _Asked(NamedTuple):
    """A Service to be tried. predicted: whether there is a prediction to compare with."""

    world: World
    service: Service
    snapshot: Snapshot
    how: _Dialling
    predicted: bool


def _from_here(asked: _Asked) -> Probe:
    from ..experiment.entrances import sender
    from ..live.dialling import Dialler, own_address

    def source(toward: Address) -> Source | None:
        own = own_address(toward)
        return None if own is None else sender(asked.world.cluster, own)

    return _probe(asked, Dialler(asked.how.seconds, asked.how.teller), source)


def _from_pod(asked: _Asked, cluster: Chosen, wish: Post) -> Probe:
    """The same from a pod, made and removed."""
    from ..live.inside import Inside, post
    from ..live.stage import fresh_name, staged

    nodes = [machine.name for machine in asked.snapshot.machines]
    if wish.node is not None and wish.node not in nodes:
        raise UsageError(f"--on {wish.node}: there is no such node", alternatives(wish.node, nodes))
    kubectl, name = cluster.kubectl(), fresh_name()
    click.echo(f"making a pod in namespace {name}", err=True)
    with staged(kubectl, name, privileged=wish.on_host):
        sent = post(kubectl, name, wish)
        click.echo(f"probing from {sent.ip} on node {sent.node}", err=True)
        inside = Inside(kubectl, name, asked.how.seconds, asked.how.teller)
        same = sent.ip.version
        return _probe(asked, inside, lambda toward: sent if toward.version == same else None)


def _probe(asked: _Asked, prober: Prober, source: Callable[[Address], Source | None]) -> Probe:
    """Everything tried and judged. source: who sends to an address; None: nobody can."""
    from ..experiment.entrances import entrances, expected
    from ..experiment.judging import Judge
    from ..live.probing import probe
    from ..model.flow import Flow

    world, service, snapshot, how, predicted = asked
    external = {machine.name: machine.external for machine in snapshot.machines}
    ways = [
        (entrance, sent)
        for entrance in entrances(world.cluster, service, external)
        if (sent := source(entrance.destination.address)) is not None
    ]
    if not ways:
        raise UsageError(
            f"Service {service} (type {service.type}) has no TCP address to dial from here",
            "Name a Service of type NodePort or LoadBalancer, or one with externalIPs.",
        )
    flows = [(Flow(sent, entrance.destination), entrance.node) for entrance, sent in ways]
    tried = asyncio.run(probe(prober, flows, controls(world, service), how.attempts))
    told = [expected(world.cluster, sent, e) if predicted else () for e, sent in ways]
    judge = Judge(world.cluster, service, sources_known=snapshot.network.source_known)
    return judge.judge(zip(tried, told, strict=True))


def _untried(service: Service, snapshot: Snapshot) -> Iterator[str]:
    """What is not dialled."""
    for port in service.ports:
        if port.protocol != "TCP":
            yield f"{port.node_port or port.port}/{port.protocol}: not tried, only TCP is dialled"
    for document in snapshot.documents:
        value = document.object
        names = value["metadata"].get("namespace"), value["metadata"]["name"]
        if value["kind"] == "Service" and names == (service.namespace, service.name):
            ingress = value.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
            for one in ingress:
                if not one.get("ip"):
                    yield f"balancer {one.get('hostname')}: has a name only, which is not tried"


def controls(world: World, service: Service) -> dict[int, str]:
    """Ports of a node that tell whether it can be reached: those of its own programs, another
    Service's, and one that nobody has, which a node refuses."""
    from ..live.probing import KNOWN_PORTS
    from ..model.probing import NOBODYS

    ports = {
        port.node_port: f"Service {one}"
        for one in world.cluster.services
        if one != service and one.external_traffic_policy == "Cluster"
        for port in one.ports
        if port.node_port and port.protocol == "TCP"
    }
    taken = {port.node_port for one in world.cluster.services for port in one.ports}
    free = next(port for port in range(_LAST_NODE_PORT, 0, -1) if port not in taken)
    return dict([*ports.items()][:1]) | KNOWN_PORTS | {free: NOBODYS}


def _print(world: World, service: Service, found: Probe, elapsed: float, output: str) -> None:
    if output == "json":
        from ..report.json.probe import probe

        version = world.cluster.kube_version
        click.echo(probe(service, found, elapsed, world.notes, world.inferences, version))
        return
    from ..report import layout
    from ..report.probe import here, report

    lines = report(service, found, elapsed, world.cluster.kube_version)
    for line in layout.with_doubts(lines, world.inferences):
        click.echo(line)
    click.echo()
    for line in layout.basis(
        f"Tried from {here(found)}", world.cluster, world.notes, world.skipped
    ):
        click.echo(line)
