"""The experiment of `run --context`: asked for, made in a namespace of its own, shown, removed."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import click

from ..errors import UsageError
from .cluster import Chosen
from .source import Input, choose

if TYPE_CHECKING:
    from ..live.experiment import Wish

ATTEMPTS = 12
CONNECT_SECONDS = 1.0


class Asked(NamedTuple):
    """How the experiment is wanted on a cluster."""

    wish: Wish
    yes: bool
    output: str
    verbose: bool


def run_on_cluster(cluster: Chosen, files: tuple[str, ...], asked: Asked) -> bool:
    """The whole of it; whether prediction and packets agree. Raises UsageError, ClusterError."""
    from ..live import experiment
    from ..live.stage import fresh_name, staged

    kubectl = cluster.kubectl()
    context = kubectl.context()
    name, wish = fresh_name(), asked.wish
    told = (
        f"namespace {name} on {context.name} ({context.server}), with {wish.replicas} x"
        f" {wish.image} behind a {wish.kind} Service"
    )
    if not asked.yes:
        _ask(f"This makes a {told}, and removes all of it again.")
    cluster.snapshot(Input(files, name))  # what would stop it is said before anything is made
    click.echo(f"making {told}", err=True)
    with staged(kubectl, name):
        kubectl.apply(experiment.objects(wish, name), f"create objects in namespace {name}")
        experiment.ready(kubectl, wish, name)
        if wish.kind == "LoadBalancer" and not experiment.balanced(kubectl, wish, name):
            click.echo("the balancer has no address yet; only node ports are tried", err=True)
        agree = _experiment(cluster, files, name, asked)
        click.echo(f"removing namespace {name}", err=True)
    return agree


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} Nobody is there to agree", "Say --yes if that is what you want."
        )
    click.echo(question, err=True)
    click.confirm("Go on?", abort=True, err=True)


def _experiment(cluster: Chosen, files: tuple[str, ...], namespace: str, asked: Asked) -> bool:
    from ..experiment.onstage import OnStage
    from ..live.dialling import Dialler
    from ..live.experiment import NAME
    from ..live.telling import known
    from .probe import controls
    from .showing import Showing

    given, snapshot = cluster.snapshot(Input(files, namespace), here=True)
    world = replace(given.world(given.documents()), sources=())
    service = choose(world, f"svc/{NAME}", namespace)
    stage = OnStage(
        kubectl=cluster.kubectl(),
        cluster=world.cluster,
        service=service,
        external={machine.name: machine.external for machine in snapshot.machines},
        controls=controls(world, service),
        dialler=Dialler(CONNECT_SECONDS, known),
        attempts=ATTEMPTS,
        sources_known=snapshot.network.source_known,
    )
    showing = Showing(world, service, output=asked.output, verbose=asked.verbose)
    how = f"Tried on context {snapshot.context.name}"
    return showing.show(stage.run(), how, lambda: stage.notes)
