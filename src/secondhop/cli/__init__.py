"""The command line: one file for each verb, imported only when that verb is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click

from .. import __version__
from ..errors import SecondhopError

_VERBS: Mapping[str, str] = {
    "run": "The experiment on a throw-away lab: prediction and packets, side by side.",
    "explain": "Prediction only: where traffic to a Service lands, and why.",
    "diff": "What an update of a Service changes, worst first, and what would make it safe.",
    "schema": "The JSON Schema of an output.",
    "doctor": "What this machine can do, and the remedy for what it cannot.",
}


class _Verbs(click.Group):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="secondhop", message="%(prog)s %(version)s")
def secondhop() -> None:
    """Where outside traffic to a Kubernetes Service lands, proved with packets.

    Without a cluster, root or images: `secondhop run` builds two nodes out of network
    namespaces and tries both values of externalTrafficPolicy.

    Exit codes: 0 as wanted, 1 a finding, 2 usage or bad input, 3 this environment cannot, 4
    prediction and observation disagree.
    """


def main() -> None:
    """Entry point: every deliberate error becomes its message and exit code."""
    try:
        secondhop.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SecondhopError as error:
        click.echo(f"secondhop: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("secondhop: interrupted; nothing is left behind", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of stdout has gone: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
