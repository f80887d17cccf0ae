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
    chosen = None if service is None else choose(world, service, namespace)
    services = world.cluster.services if chosen is None else (chosen,)
    if target is not None:
        answer: _Answer = _Single(world, chosen, sender or "client", target, via, namespace)
    elif not services:
        raise UsageError("the input has no Service", "Add one to the files given with -f.")
    else:
        answer = _Table(world, services) if everything else _Overview(world, services)
    sys.stdout.writelines(_json(answer) if output == "json" else _text(answer))


def _refuse_mixtures(
    sender: str | None, target: str | None, via: str | None, everything: bool
) -> None:
    """Flags that mean nothing together."""
    for name, value in ("--from", sender), ("--via", via):
        if value is not None and target is None:
            raise UsageError(f"{name} needs --to", f"Add --to ADDR:PORT, or leave {name} out.")
    if target is not None and everything:
        raise UsageError("--to is one flow, --all is every flow", "Leave one of the two out.")


class _Answer(ABC):
    """What was asked for, in both forms of output."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cluster = world.cluster

    @abstractmethod
    def cells(self) -> Iterator[tuple[Service | None, Flow, Outcome]]:
        """Every flow shown."""

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """The report."""


class _Overview(_Answer):
    """The outside client at every entry."""

    def __init__(self, world: World, services: Sequence[Service]) -> None:
        super().__init__(world)
        self.services = services

    def _rows(self) -> Iterator[Row]:
        from ..predict.matrix import rows

        for row in rows(self.cluster, self.services):
            if row.sources[0].kind == "client" and row.destination.kind != "clusterIP":
                yield row

    def cells(self) -> Iterator[tuple[Service | None, Flow, Outcome]]:
        from ..model.flow import Flow

        for row in self._rows():
            for via in row.vias:
                yield row.service, Flow(row.sources[0], row.destination, via), row.outcome

    def lines(self) -> Iterator[str]:
        from ..report import explain

        return explain.overview(self.cluster, self.services, self._rows())


def _json(answer: _Answer) -> Iterator[str]:
    from ..report import json

    return json.prediction(answer.cells())


def _text(answer: _Answer) -> Iterator[str]:
    from ..report import explain

    world = answer.world
    for line in answer.lines():
        yield f"{line}\n"
    yield "\n"
    for line in explain.basis(world.cluster, world.notes, world.skipped):
        yield f"{line}\n"
