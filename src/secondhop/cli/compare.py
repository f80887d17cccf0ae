"""`secondhop compare`: the trade-off measured."""

from __future__ import annotations

import sys

import click

from ..errors import UsageError
from .source import input_options

_DISAGREE = 4


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@click.option("--policies", default="Cluster,Local", show_default=True, metavar="LIST")
@click.option(
    "--balancer",
    type=click.Choice(["ecmp", "single-node"]),
    help="What stands in front; default: the Lab's, else ecmp.",
)
@click.option("--pods", metavar="N/N/…", help="Pods on each node, as 3/1/0. Default: 2/1.")
@click.option("--quick", is_flag=True, help="In under 10 s: fewer connections, only a node dies.")
@click.option("--seed", default=1, show_default=True, help="Of the connections' times.")
@click.option(
    "--html", "page", metavar="FILE", help="Write the report as one page that needs nothing else."
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    policies: str,
    balancer: str | None,
    pods: str | None,
    quick: bool,
    seed: int,
    page: str | None,
    output: str,
) -> None:
    """Measure what each policy costs: shares, the client's address, hops, latency, and what is lost
    while a pod or a node dies, a Deployment rolls and a node is drained."""
    from dataclasses import replace

    from ..experiment.compare import FULL, QUICK, compare
    from ..lab.stage import Stage
    from ..model.comparison import Comparison
    from ..report import comparison
    from .comparing import subject

    with Stage() as stage:
        of = subject(service, files, namespace, policies=policies, balancer=balancer, pods=pods)
        for event in compare(stage, of, replace(QUICK if quick else FULL, seed=seed)):
            if not isinstance(event, Comparison):
                click.echo(f"{event.what} (about {event.left:.0f} s left)", err=True)
                continue
            if page:
                from ..report.html import page as html

                try:
                    with open(page, "w", encoding="utf-8") as file:
                        file.write(html(event))
                except OSError as error:
                    raise UsageError(f"{page}: {error.strerror}", "Name another file.") from None
            click.echo(
                comparison.as_json(event) if output == "json" else "\n".join(comparison.text(event))
            )
            if not event.agree:
                sys.exit(_DISAGREE)
