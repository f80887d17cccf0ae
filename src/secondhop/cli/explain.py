"""`secondhop explain`: the prediction alone, with its reasons."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import click

from ..errors import UsageError
from .cluster import Chosen, cluster_options
from .source import (
    Input,
    balancer_option,
    choose,
    input_options,
    known_balancer,
    output_option,
    proxy_options,
    selector_option,
    services_of,
)

if TYPE_CHECKING:
    from ..manifests import World
    from ..model.cluster import Cluster, Service
    from ..model.failover import Failover
    from ..model.fate import Outcome
    from ..model.flow import Flow
    from ..model.placement import Outlook
    from ..predict.matrix import Row

_Cells: TypeAlias = "Iterator[tuple[Service | None, Flow, Outcome]]"


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@cluster_options()
@selector_option
@click.option(
    "--from",
    "sender",
    metavar="SENDER",
    help="With --to: client (the default), an IP, pod/NAME or node/NAME.",
)
@click.option("--to", "target", metavar="ADDR:PORT[/PROTO]", help="One connection, step by step.")
@click.option(
    "--via", metavar="NODE", help="With --to: where the network delivers an address of no node."
)
@click.option("--all", "everything", is_flag=True, help="Every source × destination.")
@proxy_options
@balancer_option
@output_option()
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    labels: str | None,
    sender: str | None,
    target: str | None,
    via: str | None,
    everything: bool,
    proxy_mode: str | None,
    kube_version: str | None,
    balancer: str,
    output: str,
    cluster: Chosen,
) -> None:
    """Predict where traffic to Services lands, and why. Sends nothing.

    Without svc/NAME every Service of the input; without -f the reference experiment; with --context
    or --kubeconfig the Services of a real cluster as it is now, which is only read. Shows the
    outside client at every entry, unless --all or --to asks for more; of a single Service also what
    the loss of a node and a rollout cost behind the balancer, where the nodes are known.
    """
    known_balancer(balancer)
    _refuse_mixtures(sender, target, via, everything)
    given = cluster.input(Input(files, namespace, proxy_mode, kube_version), service)
    world, namespace = given.world(given.documents()), given.namespace
    chosen = None if service is None else choose(world, service, namespace)
    services = _services(world, namespace, labels) if chosen is None else (chosen,)
    if target is not None:
        typed = _Typed(sender or "client", target, via, namespace or "default")
        answer = _flow(world.cluster, chosen, typed)
    elif not services:
        wanted = f" with labels {labels}" if labels else ""
        where = f" in namespace {namespace}" if namespace else ""
        raise UsageError(
            f"the input has no Service{where}{wanted}",
            "Name another namespace with -n, or -A."
            if cluster.named
            else "Add one to the files given with -f.",
        )
    else:
        found = _failover(world, services, balancer)
        answer = (_table if everything else _overview)(world.cluster, services, found)
    sys.stdout.writelines((_json if output == "json" else _text)(answer, world))


def _refuse_mixtures(
    sender: str | None, target: str | None, via: str | None, everything: bool
) -> None:
    """Flags that mean nothing together, or alone."""
    for name, value in ("--from", sender), ("--via", via):
        if value is not None and target is None:
            raise UsageError(f"{name} needs --to", f"Add --to ADDR:PORT, or leave {name} out.")
    if target is not None and everything:
        raise UsageError("--to is one flow, --all is every flow", "Leave one of the two out.")


def _services(world: World, namespace: str | None, labels: str | None) -> tuple[Service, ...]:
    """The Services that -n and -l leave."""
    services = services_of(world, namespace)
    if labels is None:
        return services
    from .selector import selector

    matches = selector(labels)
    return tuple(service for service in services if matches(service.labels))


class _Answer(NamedTuple):
    """What was asked for in both forms of output, of which one will be consumed."""

    cells: _Cells
    lines: Iterator[str]
    failover: Failover | None = None


class _Typed(NamedTuple):
    """The words of the command line that say which flow is meant."""

    sender: str
    target: str
    via: str | None
    namespace: str


def _failover(world: World, services: Sequence[Service], balancer: str) -> Failover | None:
    """Of a single Service, where the nodes are known."""
    from ..predict.failover import failover
    from ..predict.path import Paths

    if len(services) != 1 or not world.nodes_known:
        return None
    return failover(Paths(world.cluster), services[0], balancer, world.lab.node_grace_seconds)


def _overview(cluster: Cluster, services: Sequence[Service], found: Failover | None) -> _Answer:
    """The outside client at every entry."""
    from ..predict.matrix import Matrix
    from ..predict.overview import overview
    from ..predict.path import Paths
    from ..report import explain

    rows = Matrix(Paths(cluster), inside=False).rows(services)
    told = overview(cluster, services)
    lines = explain.overview(cluster, services, told, _outlooks(cluster), found)
    return _Answer(_client_cells(filter(explain.from_outside, rows)), lines, found)


def _outlooks(cluster: Cluster) -> Callable[[Service], Outlook | None]:
    """What holds of a Service wherever its pods are placed."""
    from ..predict.placement import Placements

    return Placements(cluster).of_service


def _client_cells(rows: Iterable[Row]) -> _Cells:
    """The flows of the client, who stands first in its rows."""
    from ..model.flow import Flow

    for row in rows:
        for via in row.vias:
            yield row.service, Flow(row.sources[0], row.destination, via), row.outcome


def _table(cluster: Cluster, services: Sequence[Service], found: Failover | None) -> _Answer:
    """Every source to every destination."""
    from ..predict import matrix
    from ..report import explain

    cells = ((c.service, c.flow, c.outcome) for c in matrix.cells(cluster, services))
    rows = matrix.rows(cluster, services)
    lines = explain.everything(cluster, services, rows, _outlooks(cluster))
    return _Answer(cells, lines, found)


def _flow(cluster: Cluster, chosen: Service | None, typed: _Typed) -> _Answer:
    """One flow. Raises UsageError if it cannot be meant."""
    from ..predict import predict
    from ..report import explain
    from .flow import read_flow

    service, flow = read_flow(cluster, *typed)
    if chosen is not None and service is not None and service != chosen:
        raise UsageError(
            f"{flow.destination} belongs to Service {service}, not to {chosen}",
            f"Leave svc/{chosen.name} out, or dial one of its addresses.",
        )
    outcome = predict(cluster, flow)
    brought = flow.destination.kind in ("loadBalancerIP", "externalIP")
    if brought and flow.via is None and outcome.fate == "unroutable":
        raise UsageError(
            f"{flow.destination} belongs to no node, so the network must bring it to one",
            f"Say to which with --via: {', '.join(node.name for node in cluster.nodes)}.",
        )
    return _Answer(
        iter([(service, flow, outcome)]), explain.flow(service, flow, outcome, cluster.kube_version)
    )


def _json(answer: _Answer, world: World) -> Iterator[str]:
    from ..report.json.prediction import prediction

    version = world.cluster.kube_version
    return prediction(answer.cells, version, answer.failover, world.inferences)


def _text(answer: _Answer, world: World) -> Iterator[str]:
    from ..report.layout import basis, with_doubts

    for line in with_doubts(answer.lines, world.inferences):
        yield f"{line}\n"
    yield "\n"
    for line in basis("Predicted, not tried", world.cluster, world.notes, world.skipped):
        yield f"{line}\n"
