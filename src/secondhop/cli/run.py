"""`secondhop run`: the experiment on a throw-away lab."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..errors import EnvironmentUnable, LabError
from .source import choose, input_options, load

if TYPE_CHECKING:
    from ..experiment.run import Applied, Held, Probed
    from ..lab.client import Lab
    from ..manifests import World
    from ..model.cluster import Cluster, Service
    from ..model.fate import Trial

_DISAGREE = 4
_QUIET_SECONDS = 1.0


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@click.option("-v", "--verbose", is_flag=True, help="Every step as typed, with the raw reply.")
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
    namespace: str,
    verbose: bool,
    output: str,
    wait_timeouts: bool,
) -> None:
    """Try both policies through every node on a lab of network namespaces.

    Builds the cluster that the files describe (without -f: the reference experiment), sends real
    packets from the outside client to each node's node port, and compares with the prediction.
    """
    from ..lab.client import Lab

    with Lab() as lab:  # first of all: it gets ready while the input is read
        world = load(files, namespace)
        chosen = choose(world, service, namespace)
        show = _Shown(files, chosen, verbose=verbose and output == "text")
        try:
            _run(lab, world, chosen, show, wait_timeouts=wait_timeouts)
        except (EnvironmentUnable, LabError) as error:
            _predict_only(world, chosen, output)
            raise _diagnosed(error) from error
    if verbose and output == "text":
        click.echo()
    _report(output, chosen, show)
    if not all(trial.agree for trial in show.trials):
        sys.exit(_DISAGREE)


def _run(lab: Lab, world: World, service: Service, show: _Shown, *, wait_timeouts: bool) -> None:
    from ..experiment.run import run

    for event in run(lab, world, service, wait_timeouts=wait_timeouts):
        show.event(event)


class _Shown:
    """Collects the rows, shows the steps (`-v`), and tells on stderr that a long run goes on."""

    def __init__(self, files: Sequence[str], service: Service, *, verbose: bool) -> None:
        self._files = files or ("traffic-test.yaml",)
        self._service = service
        self._verbose = verbose
        self._started = time.monotonic()
        self.trials: list[Trial] = []
        self.cluster: Cluster | None = None
        self.held = (0, 0)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def event(self, event: Applied | Probed | Held) -> None:
        """One step of the experiment has been made."""
        from ..experiment.run import Applied, Held
        from ..report import steps

        if isinstance(event, Applied):
            lines = [steps.patched(self._service, event.policy)]
            if self.cluster is None:
                lines = list(steps.applied(self._files, event.cluster, self._service))
            self.cluster = event.cluster
        elif isinstance(event, Held):
            self.held = (event.alive, event.total)
            lines = [steps.held(event.alive, event.total)]
        else:
            lines = list(steps.probed(event.trial, event.reply))
            self.trials.append(event.trial)
            self._progress(event.trial)
        if self._verbose:
            click.echo("\n".join(lines))

    def _progress(self, trial: Trial) -> None:
        if self.elapsed > _QUIET_SECONDS:
            entry = trial.flow.destination
            click.echo(f"{trial.policy} through {entry.node} ({entry}): tried", err=True)


def _report(output: str, service: Service, shown: _Shown) -> None:
    from ..experiment.claims import judge

    assert shown.cluster is not None
    claims = judge(shown.cluster, service, shown.trials, shown.held)
    told = (service, shown.trials, claims, shown.elapsed, shown.cluster.kube_version)
    if output == "json":
        from ..report import json as report

        click.echo(report.experiment(*told))
    else:
        from ..report import text

        click.echo(text.experiment(*told))


def _predict_only(world: World, service: Service, output: str) -> None:
    """What can be said where nothing can be tried."""
    from ..experiment.run import predictions

    rows = predictions(world, service)
    if output == "json":
        from ..report import json as report

        click.echo(report.predictions(service, rows, world.cluster.kube_version))
    else:
        from ..report import text

        click.echo(text.predictions(service, rows, world.cluster.kube_version))


def _diagnosed(error: EnvironmentUnable | LabError) -> EnvironmentUnable:
    """The same error with doctor's remedies, if doctor finds what is wrong."""
    from ..lab.doctor import examine

    remedies = [f"{c.name}: {c.detail}. {c.remedy}" for c in examine() if c.needed and not c.good]
    return EnvironmentUnable(error.message, "\n  ".join(remedies) or error.remedy)
