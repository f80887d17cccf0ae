"""The command line: one file for each verb, imported only when that verb is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from .. import __version__
from ..errors import SecondhopError

_VERBS: Mapping[str, str] = {
    "run": "The experiment on a throw-away lab or a cluster: prediction and packets, compared.",
    "explain": "Prediction only: where traffic to a Service lands, and why.",
    "diff": "What an update of a Service changes, worst first, and what would make it safe.",
    "check": "What is wrong with manifests, and whether requirements hold: for CI.",
    "compare": "What each policy costs, measured, also while pods and nodes die; charts in HTML.",
    "trace": "One connection, hop by hop: interfaces, addresses, and the rules that decided.",
    "lab": "A cluster that stays, with an API for kubectl: up, down, exec, shell, kubeconfig.",
    "probe": "A Service of a real cluster tried from here, and compared with the prediction.",
    "cleanup": "Removes what a killed run left on a real cluster.",
    "schema": "The JSON Schema of an output.",
    "doctor": "What this machine can do, and the remedy for what it cannot.",
}


_ONE_WORD = "  A Service is one word, svc/NAME; a file goes with -f, a lab's name with --name."
_SIGPIPE = 128 + 13
_UNABLE = 3
_STDERR = 2
_MOMENT_SECONDS = 0.001


class _Verbs(click.Group):
    """Lists the verbs without importing them."""

    def invoke(self, ctx: click.Context) -> object:
        """Ends quietly when the reader of stdout has gone: to click `| head` is a failure."""
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _give_up_writing()
            sys.exit(_SIGPIPE)
        return value

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

    Exit codes: 0 as wanted, 1 a requirement failed, or a difference found with --exit-code, 2
    usage or bad input, 3 this environment cannot, 4 prediction and observation disagree.
    """


def _give_up_writing() -> None:
    """So that the interpreter does not fail once more over what is still to be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupted() -> NoReturn:
    click.echo("secondhop: interrupted; nothing is left behind", err=True)
    sys.exit(130)


def _open_standard_streams() -> None:
    """Where a caller (cron, say) closed some, lest a socket of ours gets their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def _never_lose_an_interrupt() -> None:
    """Ctrl-C that hits inside a finaliser or a weakref's callback cannot be raised there: Python
    prints a traceback and goes on. Send it again a moment later, when it can be."""

    def unraisable(report: sys.UnraisableHookArgs) -> None:
        if issubclass(report.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _MOMENT_SECONDS)
        else:
            sys.__unraisablehook__(report)

    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.unraisablehook = unraisable


def main() -> None:
    """Entry point: every deliberate error becomes its message and exit code."""
    _open_standard_streams()
    _never_lose_an_interrupt()
    try:
        secondhop.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        if "unexpected extra argument" in error.message:
            click.echo(_ONE_WORD, err=True)
        sys.exit(error.exit_code)
    except SecondhopError as error:
        click.echo(f"secondhop: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"secondhop: the system refuses: {error}", err=True)
        click.echo("  Free what is short (disk, processes, open files) and try again.", err=True)
        _give_up_writing()
        sys.exit(_UNABLE)
    except (KeyboardInterrupt, click.Abort):
        _interrupted()
    except RuntimeError as error:
        # Python 3.11 wraps an interrupt that hits while a class is being made, so while we load.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        _interrupted()
