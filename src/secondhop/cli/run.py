"""`secondhop run`: the experiment on a throw-away lab."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..errors import EnvironmentUnable, LabError, UsageError
from .cluster import Chosen, cluster_options
from .source import Input, choose, input_options, output_option

if TYPE_CHECKING:
    from .stage import Asked

_DISAGREE = 4


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@cluster_options(everywhere=False)
@click.option("-v", "--verbose", is_flag=True, help="Every step as typed, with the raw reply.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every source to every destination, as `explain --all` predicts them.",
)
@output_option()
@click.option(
    "--wait-timeouts",
    is_flag=True,
    help="Wait each drop out for a second, as curl would, besides proving it.",
)
@click.option(
    "--keep", is_flag=True, help="Leave a lab up that is like it, to type at: see `secondhop lab`."
)
@click.option("-y", "--yes", is_flag=True, help="On a real cluster: do not ask before it begins.")
@click.option(
    "--image",
    default="traefik/whoami",
    show_default=True,
    help="On a real cluster: a whoami that its nodes can pull.",
)
@click.option(
    "--replicas", type=click.IntRange(1, 100), default=1, help="On a real cluster: of the pods."
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["NodePort", "LoadBalancer"]),
    default="NodePort",
    help="On a real cluster: of the Service.",
)
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    verbose: bool,
    everything: bool,
    output: str,
    wait_timeouts: bool,
    keep: bool,
    yes: bool,
    image: str,
    replicas: int,
    kind: str,
    cluster: Chosen,
) -> None:
    """Try both policies through every node on a lab of network namespaces.

    Builds the cluster that the files describe (without -f: the reference experiment), sends real
    packets from the outside client to each node's node port, and compares with the prediction.

    With --context or --kubeconfig on that cluster, from this machine: in a namespace of its own,
    secondhop-…, which goes again however the run ends (`secondhop cleanup` after a kill -9).
    """
    if cluster.named:
        _refuse_lab_options(all=everything, wait_timeouts=wait_timeouts, keep=keep)
        from ..live.experiment import Wish
        from .stage import Asked

        asked = Asked(Wish(image, replicas, kind), yes, output, verbose)
        _on_cluster(cluster, service, namespace, files, asked)
        return
    from ..lab.client import Lab

    with Lab() as lab:  # first of all: it gets ready while the rest is loaded and the input read
        from .showing import Showing, diagnosed

        if keep:
            _expect_no_lab()
        given = Input(files, namespace)
        documents = given.documents()
        world = given.world(documents)
        chosen = choose(world, service, namespace)
        showing = Showing(world, chosen, output=output, verbose=verbose, everything=everything)
        try:
            agree = showing.run(lab, wait_timeouts=wait_timeouts)
        except (EnvironmentUnable, LabError) as error:
            showing.predict_only()
            raise diagnosed(error) from error
    if keep:
        from .lab import DEFAULT, begin

        begin(DEFAULT, given, documents, aside=output == "json")
    if not agree:
        sys.exit(_DISAGREE)


def _expect_no_lab() -> None:
    """Raises UsageError if the lab that is to be kept could not be: before anything is tried."""
    from ..lab.state import State
    from .lab import DEFAULT

    if State(DEFAULT).keeper() is not None:
        remedy = "Use it, take it down with `secondhop lab down`, or leave --keep out."
        raise UsageError(f"the lab {DEFAULT} is up already", remedy)


def _refuse_lab_options(**given: bool) -> None:
    for option, stated in given.items():
        name = f"--{option.replace('_', '-')}"
        if stated:
            raise UsageError(f"{name} is for a lab", f"Leave {name} out on a cluster.")


def _on_cluster(
    cluster: Chosen,
    service: str | None,
    namespace: str | None,
    files: tuple[str, ...],
    asked: Asked,
) -> None:
    if service or namespace:
        raise UsageError(
            f"{service or '-n ' + str(namespace)} does not go with a cluster: run makes a Service"
            " of its own, in a namespace of its own",
            "`secondhop probe svc/NAME` tries one that is there.",
        )
    from .stage import run_on_cluster

    if not run_on_cluster(cluster, files, asked):
        sys.exit(_DISAGREE)
