"""`secondhop lab`: a lab that stays, with a Kubernetes API for stock tools."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .source import Input

if TYPE_CHECKING:
    from ..lab.standing import Order
    from ..lab.state import State
    from ..manifests import Document

_SHOWN = 6
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where iptables and its like are, on no ordinary user's PATH."""
_RUNNING_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
DEFAULT = "default"
_name = click.option("--name", default=DEFAULT, show_default=True, help="Which lab.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """A cluster that stays: nodes out of network namespaces, and a Kubernetes API that kubectl
    believes in. No root, no container engine."""


@command.command(short_help="Start a lab in the background.")
@_name
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="A Lab file, and manifests to be applied; - for stdin. Default: the reference Lab, empty.",
)
@click.option("-n", "--namespace", help="Of objects that name none.")
@click.option("--nodes", type=click.IntRange(1, 250), help="That many nodes, in place of a Lab's.")
@click.option(
    "--pods", type=click.IntRange(0, 10_000), default=0, help="A Deployment of that many whoami."
)
@click.option(
    "--control-plane",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="etcd, kube-apiserver, kube-controller-manager and kube-scheduler from there, not ours.",
)
def up(
    name: str,
    files: tuple[str, ...],
    namespace: str | None,
    nodes: int | None,
    pods: int,
    control_plane: Path | None,
) -> None:
    """Start a lab in the background; returns when every node is Ready."""
    if control_plane is not None:
        from ..lab.controlplane import expect_programs

        control_plane = control_plane.absolute()
        expect_programs(control_plane)
    given = Input(files, namespace)
    documents = given.documents() if files else []
    begin(name, given, documents, nodes, pods, control_plane)


def begin(
    name: str,
    given: Input,
    documents: list[Document],
    nodes: int | None = None,
    pods: int = 0,
    control_plane: Path | None = None,
    *,
    aside: bool = False,
) -> None:
    """Start a lab, and tell how it is used: on stderr, if that stands aside of another answer. The
    other parameters are those of `laborder.order`, and so is what it raises."""
    from ..lab import keeper
    from ..lab.named import missing_package
    from ..lab.state import State

    try:
        from ..lab import standing  # before the fork: what is loaded now is loaded once
    except ModuleNotFoundError as error:
        raise missing_package("a lab that stays", error) from None
    from .laborder import order

    state = State(name)
    wanted, left_out = order(state, given, documents, nodes, pods, control_plane)
    if left_out:
        click.echo(f"not applied, the lab has no such kinds: {', '.join(left_out)}", err=True)

    if control_plane is not None and wanted.described.placement:
        click.echo("kube-scheduler knows no placement of a Lab: say it in the pods' spec", err=True)

    def main(*sockets: Any) -> None:
        standing.main(wanted, *sockets)

    url = ""
    for message in keeper.up(state, main):
        if "doing" in message:
            click.echo(message["doing"], err=True)
        url = message.get("url", "")
    for line in _ready(state, url, wanted):
        click.echo(line, err=aside)


def _ready(state: State, url: str, wanted: Order) -> Iterator[str]:
    """What a lab is, and how it is used."""
    nodes = wanted.base.nodes
    option = "" if state.name == DEFAULT else f" --name {state.name}"
    names = [node.name for node in nodes]
    shown = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        shown += f" and {len(names) - _SHOWN} more"
    plural = "s" if len(names) > 1 else ""
    yield f"The lab {state.name} is up: {len(names)} node{plural} Ready ({shown}), API at {url}"
    services = (value["spec"] for value in wanted.objects if value["kind"] == "Service")
    ports = [port for spec in services for port in spec.get("ports") or () if port.get("nodePort")]
    address = next(interface.ip for interface in nodes[0].addresses)
    host = f"[{address}]" if address.version == 6 else str(address)
    dialled = f"{host}:{ports[0]['nodePort']}" if ports else "NODE:PORT"
    yield f"  export KUBECONFIG={state.kubeconfig}"
    yield "  kubectl get nodes"
    yield f"  secondhop lab exec{option} client -- curl -s --connect-timeout 1 {dialled}"
    yield f"  secondhop lab down{option}"


@command.command()
@_name
@click.option("--all", "everything", is_flag=True, help="Every lab of this user.")
def down(name: str, everything: bool) -> None:
    """Take a lab down; nothing of it stays."""
    from ..lab import keeper
    from ..lab.state import State, states

    named = click.get_current_context().get_parameter_source("name")
    if everything and named is click.core.ParameterSource.COMMANDLINE:
        raise UsageError("both --name and --all are given", "Keep only one.")
    wanted = states() if everything else [State(name)]
    if not wanted:
        click.echo("There is no lab.", err=True)
    for state in wanted:
        if keeper.down(state):
            click.echo(f"The lab {state.name} is down.")
        elif not state.forget_note() and not everything:
            raise UsageError(
                f"the lab {name} is not up",
                "Nothing is to be taken down; `secondhop lab list` shows what is there.",
            )
        state.remove()


@command.command()
@_name
def status(name: str) -> None:
    """What a lab is and how it is."""
    from ..lab.control import ask
    from ..lab.state import State

    told: Mapping[str, Any] = ask(State(name), "status").value
    nodes = told["nodes"]
    ready = sum(node["ready"] for node in nodes)
    click.echo(f"The lab {name} is up: {ready} of {len(nodes)} nodes Ready, API at {told['url']}")
    for node in nodes:
        if not node["ready"]:
            click.echo(f"  node {node['name']} is not Ready")
    pods = told["pods"]
    click.echo(f"  {pods['ready']} of {pods['all']} pods ready, {told['services']} Services")
    for seat in told["seats"]:
        click.echo(f"  {seat}")
    click.echo(f"  up for {told['seconds']:.0f} s, {told['memoryMiB']:.0f} MiB")


@command.command("list")
def list_() -> None:
    """Every lab of this user."""
    from ..lab.state import states

    found = [state for state in states() if state.keeper() is not None or state.note()]
    if not found:
        click.echo("There is no lab. Start one: `secondhop lab up`.", err=True)
    for state in found:
        up = state.keeper() is not None
        click.echo(f"{state.name}  {'up' if up else f'ended: {state.note().splitlines()[0]}'}")


@command.command()
@_name
def kubeconfig(name: str) -> None:
    """Print the lab's kubeconfig; a secret."""
    from ..lab.control import not_up
    from ..lab.state import State

    state = State(name)
    if state.keeper() is None:
        raise not_up(state)
    click.echo(state.kubeconfig.read_text(), nl=False)


@command.command(context_settings=_RUNNING_ON)
@_name
@click.argument("where", metavar="client|router|node/NAME|pod/NAME")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- PROGRAM…")
def exec(name: str, where: str, program: tuple[str, ...]) -> None:
    """Run a program of this machine inside the lab. Options stand before the place."""
    sys.exit(_run(name, where, program, {}))


@command.command()
@_name
def shell(name: str) -> None:
    """A shell in the outside client's place, with KUBECONFIG set."""
    if bash := shutil.which("bash"):
        prompt = {"PS1": f"(secondhop lab {name}: client) \\w\\$ "}
        sys.exit(_run(name, "client", [bash, "--norc", "-i"], prompt))
    sys.exit(_run(name, "client", ["sh", "-i"], {"PS1": f"(secondhop lab {name}: client) $ "}))


def _run(name: str, where: str, program: Sequence[str], environ: Mapping[str, str]) -> int:
    from ..lab.control import ask
    from ..lab.enter import run_inside
    from ..lab.state import State

    state = State(name)
    words = program[1:] if program[0] == "--" else program
    if not words:
        raise UsageError("no program is named", f"secondhop lab exec {where} -- PROGRAM …")
    answer = ask(state, "enter", where=where)
    namespaces = list(zip(answer.descriptors, answer.value, strict=True))
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
    environ = {**os.environ, "PATH": path, "KUBECONFIG": str(state.kubeconfig), **environ}
    sys.stdout.flush()
    return run_inside(namespaces, words, environ)
