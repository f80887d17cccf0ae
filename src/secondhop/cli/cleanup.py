"""`secondhop cleanup`: removes what a killed run left on a cluster."""

from __future__ import annotations

import sys

import click

from ..errors import UsageError
from .cluster import Chosen, cluster_options


@click.command()
@cluster_options(everywhere=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(cluster: Chosen, yes: bool) -> None:
    """Remove the namespaces that `secondhop run --context` and `probe --from pod` made on a cluster
    and, being killed, could not remove themselves.

    Only namespaces named secondhop-… with the label app.kubernetes.io/managed-by=secondhop; those
    of runs that still go on as well, so it asks. Without --context kubectl's current one.
    """
    from ..live.stage import leftovers, strike

    kubectl = cluster.kubectl()
    context = kubectl.context()
    found = leftovers(kubectl)
    if not found:
        click.echo(f"Nothing of secondhop's is left on {context.name}.")
        return
    for one in found:
        state = ", being deleted" if one.terminating else ""
        click.echo(f"namespace {one.name} on {context.name}, made by {one.by}{state}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to agree", "Say --yes to remove them.")
        click.confirm("Remove them with all that is in them?", abort=True, err=True)
    strike(kubectl, [one.name for one in found])
    plural = "s" if len(found) > 1 else ""
    click.echo(f"Removed {len(found)} namespace{plural} from {context.name}.")
