"""`secondhop run`: the experiment on a throw-away lab."""

from __future__ import annotations

import sys

import click

from ..errors import EnvironmentUnable, LabError
from .source import choose, input_options, load

_DISAGREE = 4


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@click.option("-v", "--verbose", is_flag=True, help="Every step as typed, with the raw reply.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every source to every destination, as `explain --all` predicts them.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--wait-timeouts",
    is_flag=True,
    help="Wait each drop out for a second, as curl would, besides proving it.",
)
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    verbose: bool,
    everything: bool,
    output: str,
    wait_timeouts: bool,
) -> None:
    """Try both policies through every node on a lab of network namespaces.

    Builds the cluster that the files describe (without -f: the reference experiment), sends real
    packets from the outside client to each node's node port, and compares with the prediction.
    """
    from ..lab.client import Lab

    with Lab() as lab:  # first of all: it gets ready while the rest is loaded and the input read
        from .showing import Showing, diagnosed

        world = load(files, namespace)
        chosen = choose(world, service, namespace)
        showing = Showing(world, chosen, output=output, verbose=verbose, everything=everything)
        try:
            agree = showing.run(lab, wait_timeouts=wait_timeouts)
        except (EnvironmentUnable, LabError) as error:
            showing.predict_only()
            raise diagnosed(error) from error
    if not agree:
        sys.exit(_DISAGREE)
