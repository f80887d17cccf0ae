"""`secondhop diff`: what an update of a Service changes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .cluster import Chosen, cluster_options
from .source import (
    Input,
    balancer_option,
    choose,
    input_options,
    known_balancer,
    output_option,
    proxy_options,
)

if TYPE_CHECKING:
    from ..manifests import World
    from ..model.difference import Difference

_DIFFERENT = 1


@click.command()
@click.argument("service", metavar="svc/NAME")
@click.option(
    "--set",
    "fields",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE",
    help="A field of spec, or a path as ports[0].nodePort; VALUE is JSON or text, null removes.",
)
@input_options
@cluster_options(everywhere=False)
@proxy_options
@balancer_option
@click.option("--exit-code", is_flag=True, help="Exit 1 when something changes.")
@output_option()
def command(
    service: str,
    fields: tuple[str, ...],
    files: tuple[str, ...],
    namespace: str,
    proxy_mode: str | None,
    kube_version: str | None,
    balancer: str,
    exit_code: bool,
    output: str,
    cluster: Chosen,
) -> None:
    """Predict what an update of a Service would change: who is cut off, how shares shift, which
    address pods see, and what would make it safe. Sends nothing, changes nothing.

    Without -f the reference experiment; with --context or --kubeconfig a Service of a real cluster,
    which is only read.
    """
    given = cluster.input(Input(files, namespace, proxy_mode, kube_version), service)
    world, found = _difference(given, service, fields, balancer)
    if output == "json":
        from ..report.json.difference import difference

        click.echo(difference(found, world.inferences))
    else:
        _print(world, found)
    if exit_code and not found.is_empty:
        sys.exit(_DIFFERENT)


def _difference(
    given: Input, wanted: str, fields: tuple[str, ...], balancer: str
) -> tuple[World, Difference]:
    """The World before, and what the update does to it."""
    from ..manifests import read_setting, updated
    from ..predict.whatif import Situation, difference

    known_balancer(balancer)
    settings = [read_setting(text) for text in fields]
    documents = given.documents()
    before = given.world(documents)
    service = choose(before, wanted, given.namespace)
    after = given.world(updated(documents, before.cluster, service, settings, given.home))
    found = difference(
        Situation(before.cluster, service),
        Situation(after.cluster, choose(after, f"svc/{service.name}", service.namespace)),
        [str(setting) for setting in settings],
        balancer,
        before.policies,
    )
    return before, found


def _print(world: World, found: Difference) -> None:
    from ..report import layout
    from ..report.difference import report

    for line in layout.with_doubts(report(found), world.inferences):
        click.echo(line)
    click.echo()
    for line in layout.basis("Predicted, not tried", world.cluster, world.notes, world.skipped):
        click.echo(line)
