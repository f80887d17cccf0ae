"""`secondhop explain`: the prediction alone, with its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .source import choose, input_options, load

if TYPE_CHECKING:
    from ..model.cluster import ProxyMode


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
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
@click.option(
    "--proxy-mode",
    type=click.Choice(["iptables", "nftables"]),
    help="kube-proxy's mode, in place of the Lab file's.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str,
    sender: str | None,
    target: str | None,
    via: str | None,
    everything: bool,
    proxy_mode: ProxyMode | None,
    output: str,
) -> None:
    """Predict where traffic to Services lands, and why. Sends nothing.

    Without svc/NAME every Service of the input; without -f the reference experiment. Shows the
    outside client at every entry, unless --all or --to asks for more.
    """
    _refuse_mixtures(sender, target, via, everything)
    world = load(files, namespace, proxy_mode)
    if target is not None:
        wanted = None if service is None else choose(world, service, namespace)
        _flow(world, wanted, output, sender or "client", target, via, namespace)
    else:
        services = world.cluster.services if service is None else None
        if services is None:
            services = (choose(world, service, namespace),)
        if not services:
            raise UsageError("the input has no Service", "Add one to the files given with -f.")
        _table(world, services, output, everything)
