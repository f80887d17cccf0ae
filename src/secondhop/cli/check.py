"""`secondhop check`: findings and requirements, for people and for CI."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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
    service_name,
    services_of,
)

if TYPE_CHECKING:
    from ..manifests import Examined, World
    from ..model.finding import Check

_FAILED = 1


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@cluster_options()
@selector_option
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="REQUIREMENT,…",
    help="client-ip, no-blackhole, max-share=0.5, valid: exit 1 unless it holds for certain.",
)
@balancer_option
@proxy_options
@click.option("--fix", is_flag=True, help="Print the mended manifests, and nothing else.")
@click.option("--write", is_flag=True, help="Mend the files in place.")
@output_option("junit", "sarif")
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    labels: str | None,
    required: tuple[str, ...],
    balancer: str,
    proxy_mode: str | None,
    kube_version: str | None,
    fix: bool,
    write: bool,
    output: str,
    cluster: Chosen,
) -> None:
    """Find what is wrong or surprising in manifests, and judge requirements. Sends nothing.

    Without svc/NAME every Service of the input; without -f the reference experiment; with --context
    or --kubeconfig a real cluster, which is only read. Findings alone exit 0; a requirement that
    does not hold for certain exits 1.
    """
    if fix or write:
        if (fix and write) or required or service or cluster.named:
            raise UsageError(
                "--fix prints whole files, --write replaces them; neither does anything else",
                "Leave the rest out, and check the mended files after that.",
            )
        from .mend import print_mended, write_mended

        (write_mended if write else print_mended)(files)
        return
    from ..check import check, read_requirements

    asked = read_requirements(required)
    if asked and not (files or cluster.named):
        raise UsageError("--require has nothing of yours to judge", "Name manifests with -f.")
    given = cluster.input(Input(files, namespace, proxy_mode, kube_version), service)
    namespace = given.namespace
    examined = given.examined(given.documents())
    found = check(
        examined,
        balancer=known_balancer(balancer),
        asked=asked,
        services=_wanted(examined, service, namespace, labels),
    )
    _print(found, examined.world, output)
    if not found.met:
        sys.exit(_FAILED)


def _wanted(
    examined: Examined, service: str | None, namespace: str | None, labels: str | None
) -> set[str] | None:
    """The Services that svc/NAME, -n and -l leave; None for all."""
    world = examined.world
    if service is not None:
        name = f"{namespace or 'default'}/{service_name(service)}"
        if any(problem.subject == f"Service {name}" for problem in examined.problems):
            return {name}  # though it may be left out of the world
        return {str(choose(world, service, namespace))}
    if namespace is None and labels is None:
        return None
    services = services_of(world, namespace)
    if labels is not None:
        from .selector import selector

        matches = selector(labels)
        services = tuple(one for one in services if matches(one.labels))
    return {str(one) for one in services}


def _print(found: Check, world: World, output: str) -> None:
    if output == "json":
        from ..report.json.check import check as document

        click.echo(document(found, world.inferences))
    elif output == "junit":
        from ..report import junit

        click.echo(junit.report(found))
    elif output == "sarif":
        from ..check import CATALOGUE
        from ..report import sarif

        click.echo(sarif.report(found, CATALOGUE.values()))
    else:
        from ..report import check, layout

        for line in layout.with_doubts(check.report(found), world.inferences):
            click.echo(line)
        predicted = ("Predicted, not tried", world.cluster, world.notes, world.skipped)
        basis = layout.basis(*predicted) if found.services else layout.unread(world.skipped)
        if lines := list(basis):
            click.echo("\n".join(("", *lines)))
