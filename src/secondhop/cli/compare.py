"""`secondhop compare`: the trade-off measured."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .source import input_options, output_option

if TYPE_CHECKING:
    from ..model.comparison import Comparison

_DISAGREE = 4


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@click.option("--policies", default="Cluster,Local", show_default=True, metavar="LIST")
@click.option(
    "--balancer",
    type=click.Choice(["ecmp", "single-node"]),
    help="What stands in front. Default: the Lab's, else ecmp.",
)
@click.option(
    "--pods", metavar="N/N/…", help="Pods on each node, as 3/1/0. Default without -f: 2/1."
)
@click.option("--quick", is_flag=True, help="In under 10 s: fewer connections, only a node dies.")
@click.option("--seed", default=1, show_default=True, help="Of the connections' times.")
@click.option(
    "--html", "page", metavar="FILE", help="Write the report as one page that needs nothing else."
)
@output_option()
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
    """Measure what each policy costs on a lab of network namespaces.

    Shares of pods, the client's address, hops, latency and throughput; and what is lost while a
    pod or a node dies, a Deployment rolls and a node is drained. Beside each figure stands what
    was predicted. Without -f: the reference experiment, with 2 pods on one node and 1 on the other.
    """
    from ..lab.client import Lab
    from ..lab.stage import Stage

    with Lab() as lab, Stage() as stage:  # first of all: they get ready meanwhile
        from ..experiment.compare import FULL, QUICK, compare
        from ..model.comparison import Comparison
        from ..report import comparison
        from .comparing import chosen_policies, counts, subject
        from .progress import Progress

        of = subject(
            service,
            files,
            namespace,
            policies=chosen_policies(policies),
            balancer=balancer,
            pods=counts(pods),
            quick=quick,
        )
        _write(page, "")
        progress = Progress()
        try:
            for event in compare(lab, stage, of, replace(QUICK if quick else FULL, seed=seed)):
                if isinstance(event, Comparison):
                    found = event
                else:
                    progress.tell(event.what, event.done, event.total)
        finally:
            progress.end()
    _write(page, _page(found) if page else "")
    click.echo(comparison.as_json(found) if output == "json" else "\n".join(comparison.text(found)))
    if not found.agree:
        sys.exit(_DISAGREE)


def _page(found: Comparison) -> str:
    from ..report.html import page

    return page(found)


def _write(path: str | None, text: str) -> None:
    """Raises UsageError if it cannot be written, which is better known before than after."""
    if path is None:
        return
    try:
        with open(path, "w" if text else "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "Name another file.") from None
