"""The experiment shown: its steps, its report, and what can be said where it cannot be made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from ..errors import EnvironmentUnable, LabError
from ..experiment import plan
from ..experiment.claims import judge
from ..experiment.events import Applied, Event, Held
from ..manifests import World
from ..model.cluster import Service
from ..model.fate import Trial
from ..predict.path import Paths
from ..report import layout, steps, text

if TYPE_CHECKING:
    from ..lab.client import Lab

_QUIET_SECONDS = 1.0


class Showing:
    """One Service of a world, for one form of output.

    verbose: show every step as it is made, in text. everything: try every source and destination
    instead of the client and the node ports.
    """

    def __init__(
        self,
        world: World,
        service: Service,
        *,
        output: str,
        verbose: bool,
        everything: bool = False,
    ) -> None:
        self._world = world
        self._service = service
        self._json = output == "json"
        self._verbose = verbose and not self._json
        self._everything = everything
        self._plan = plan.everything if everything else plan.flows
        self._cluster = world.cluster
        self._held = (0, 0)
        self._told = 0.0
        self._trials: list[Trial] = []

    def run(self, lab: Lab, *, wait_timeouts: bool) -> bool:
        """Make the experiment and report; whether prediction and packets agree.

        Raises UsageError, EnvironmentUnable, LabError.
        """
        from ..experiment.fit import limits
        from ..experiment.run import run

        world, service = self._world, self._service
        left_out = partial(limits, world.cluster, service, everything=self._everything)
        events = run(lab, world, service, self._plan, wait_timeouts=wait_timeouts)
        return self.show(events, "Tried on a lab", lambda: [*left_out(), *lab.notes])

    def show(
        self, events: Iterable[Event], how: str, left_out: Callable[[], Sequence[str]]
    ) -> bool:
        """Report on an experiment as it goes on; whether prediction and packets agree. left_out:
        what it did not do, asked for when it is over."""
        self._started = time.monotonic()
        for event in events:
            lines = self._take(event)
            if self._verbose:
                click.echo("\n".join(lines))
        if self._verbose:
            click.echo()
        self._report(time.monotonic() - self._started, how, left_out())
        return all(trial.agree for trial in self._trials)

    def predict_only(self) -> None:
        """What can be said where nothing can be tried."""
        from ..experiment.run import predictions

        rows = predictions(self._world, self._service, self._plan)
        if self._json:
            from ..report.json.prediction import predictions as document

            click.echo(document(self._service, rows, self._cluster.kube_version))
            return
        for line in text.predictions(self._service, rows, self._cluster.kube_version):
            click.echo(line)
        self._basis("Predicted, not tried", [])

    def _take(self, event: Event) -> list[str]:
        """Remember what one step showed; the step in words."""
        if isinstance(event, Applied):
            first = self._cluster is self._world.cluster
            self._cluster = event.cluster
            if first:
                return [*steps.applied(self._world.sources, event.cluster, self._service)]
            return [steps.patched(self._service, event.policy)]
        if isinstance(event, Held):
            self._held = (event.alive, event.total)
            return [steps.held(event.alive, event.total)]
        self._trials.append(event.trial)
        self._progress(event.trial)
        return [*steps.probed(event.trial, event.reply)]

    def _progress(self, trial: Trial) -> None:
        """A line for each second that the answer takes longer than the first."""
        elapsed = time.monotonic() - self._started
        if elapsed > self._told + _QUIET_SECONDS:
            self._told = elapsed
            rows = "1 row" if len(self._trials) == 1 else f"{len(self._trials)} rows"
            click.echo(f"{rows} tried, the last under {trial.policy}", err=True)

    def _report(self, elapsed: float, how: str, left_out: Sequence[str]) -> None:
        outside = [trial for trial in self._trials if trial.flow.is_reference]
        claims = judge(self._cluster, self._service, outside, self._held)
        if self._json:
            from ..report.json.experiment import experiment

            notes = [*self._world.notes, *left_out]
            click.echo(
                experiment(
                    self._service,
                    self._trials,
                    claims,
                    elapsed,
                    notes,
                    self._cluster.kube_version,
                    self._world.inferences,
                )
            )
            return
        version = self._cluster.kube_version
        many = Paths(self._world.cluster).placements.of_service(self._service) is not None
        lines = text.experiment(
            self._service,
            self._trials,
            claims,
            elapsed,
            version,
            one_of_many=many,
            everything=self._everything,
        )
        for line in layout.with_doubts(lines, self._world.inferences):
            click.echo(line)
        self._basis(how, left_out)

    def _basis(self, how: str, left_out: Sequence[str]) -> None:
        world = self._world
        click.echo()
        for line in layout.basis(how, world.cluster, [*world.notes, *left_out], world.skipped):
            click.echo(line)


def diagnosed(error: EnvironmentUnable | LabError) -> EnvironmentUnable | LabError:
    """The same error with doctor's remedies, if doctor finds what is wrong."""
    from ..lab.doctor import examine

    if error.exit_code != EnvironmentUnable.exit_code:
        return error

    remedies = [f"{c.name}: {c.detail}. {c.remedy}" for c in examine() if c.needed and not c.good]
    if remedies:
        return EnvironmentUnable(error.message, "\n  ".join(remedies))
    return error
