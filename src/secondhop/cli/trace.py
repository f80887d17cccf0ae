"""`secondhop trace`: one connection, hop by hop."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import click

from ..errors import EnvironmentUnable, LabError, UsageError
from ..model.cluster import Policy
from .source import choose_of, input_options, load, output_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..model.cluster import Cluster, Service
    from ..model.flow import Flow
    from ..model.trace import Trace

_DISAGREE = 4


@click.command()
@click.argument("service", required=False, metavar="[svc/NAME]")
@input_options
@click.option("--name", metavar="LAB", help="On a lab that is up, in place of a throw-away one.")
@click.option(
    "--from",
    "sender",
    default="client",
    show_default=True,
    metavar="SENDER",
    help="client, pod/NAME or node/NAME.",
)
@click.option(
    "--to", "target", metavar="ADDR:PORT[/PROTO]", help="Default: the first node's node port."
)
@click.option(
    "--via", metavar="NODE", help="With --to: where the network delivers an address of no node."
)
@click.option(
    "--policy",
    type=click.Choice(get_args(Policy)),
    help="externalTrafficPolicy to set before. Default: the Service's own.",
)
@click.option(
    "--proxy-mode", metavar="MODE", help="iptables or nftables, in place of the Lab file's."
)
@click.option("--pcap", metavar="FILE", help="Keep the packets, for Wireshark and tshark (pcapng).")
@click.option("-v", "--verbose", is_flag=True, help="Also the rules that only lead to others.")
@output_option()
def command(
    service: str | None,
    files: tuple[str, ...],
    namespace: str | None,
    name: str | None,
    sender: str,
    target: str | None,
    via: str | None,
    policy: Policy | None,
    proxy_mode: str | None,
    pcap: str | None,
    verbose: bool,
    output: str,
) -> None:
    """Follow one connection through every interface that it passes, with the rules that decided, as
    the kernel reports them, beside the way that is predicted.

    Without -f: the reference experiment; without --to: the client to the first node's node port.
    Exits 4 where the packets went otherwise than predicted.
    """
    asked = _Asked(service, namespace, sender, target, via)
    if name is None:
        done = _thrown_away(asked, files, policy, proxy_mode)
    elif files or policy or proxy_mode or via:
        raise UsageError(
            "-f, --via, --policy and --proxy-mode are for a throw-away lab, --name is one that is"
            " up",
            "Leave one side out; `kubectl apply` and `kubectl patch` change a lab that is up.",
        )
    else:
        done = _standing(asked, name)
    if pcap is not None:
        _write(done.trace, pcap)
    _show(done, verbose=verbose, output=output)
    if not done.trace.agree:
        sys.exit(_DISAGREE)


class _Asked(NamedTuple):
    """Which connection, as typed."""

    service: str | None
    namespace: str | None
    sender: str
    target: str | None
    via: str | None

    def meant(self, cluster: Cluster) -> tuple[Service | None, Flow, str]:
        """As which Service it is dialled, the flow, and the place where it starts. Raises
        UsageError."""
        from ..experiment.plan import flows
        from ..experiment.trace import start
        from .flow import read_flow

        home, chosen, target = self.namespace or "default", None, self.target
        if target is None or self.service is not None:
            chosen = choose_of(cluster.services, self.service, self.namespace)
        if target is None and chosen is not None:
            first = [node.name for node in cluster.nodes].index
            flow = min(flows(cluster, chosen), key=lambda f: first(f.destination.node or ""))
            target = f"{flow.destination}/{flow.destination.protocol}"
        service, flow = read_flow(cluster, self.sender, target or "", self.via, home)
        if chosen is not None and service != chosen:
            raise UsageError(
                f"{flow.destination} is not an address of Service {chosen}",
                f"Leave svc/{chosen.name} out, or dial one of its addresses.",
            )
        if flow.source.kind == "address":
            raise UsageError(
                f"--from {self.sender}: nobody in the lab has this address",
                "Name client, pod/NAME or node/NAME.",
            )
        return service, flow, start(cluster, flow, home)


class _Done(NamedTuple):
    """A trace, how many seconds it took, and what it rests on."""

    trace: Trace
    elapsed: float
    how: str
    notes: Sequence[str] = ()
    skipped: Mapping[str, int] = {}


def _thrown_away(
    asked: _Asked, files: tuple[str, ...], policy: Policy | None, proxy_mode: str | None
) -> _Done:
    from ..lab.client import Lab

    begun = time.monotonic()
    with Lab() as lab:  # first of all: it gets ready while the rest is loaded and the input read
        from ..experiment.trace import on_new_lab
        from ..manifests import with_policy
        from .showing import diagnosed

        world = load(files, asked.namespace, proxy_mode)
        service, flow, place = asked.meant(world.cluster)
        if policy is not None:
            if service is None:
                why = f"--policy is for a Service, and {flow.destination} is no address of one"
                raise UsageError(why, "Leave --policy out.")
            world = replace(world, cluster=with_policy(world.cluster, service, policy))
        try:
            trace = on_new_lab(lab, world, service, flow, place)
        except (EnvironmentUnable, LabError) as error:
            raise diagnosed(error) from error
        elapsed = time.monotonic() - begun
    notes = [*world.notes, *lab.notes]
    return _Done(trace, elapsed, "Traced on a throw-away lab", notes, world.skipped)


def _standing(asked: _Asked, name: str) -> _Done:
    from ..experiment.trace import compare
    from ..lab.control import ask, packed, unpacked
    from ..lab.state import State

    begun = time.monotonic()
    state = State(name)
    cluster: Cluster = unpacked(ask(state, "cluster").value)
    service, flow, place = asked.meant(cluster)
    recording = unpacked(ask(state, "trace", place=place, flow=packed(flow)).value)
    trace = compare(cluster, service, flow, recording)
    return _Done(trace, time.monotonic() - begun, f"Traced on the lab {name}")


def _write(trace: Trace, path: str) -> None:
    from ..report.pcapng import capture

    try:
        Path(path).write_bytes(capture(trace))
    except OSError as error:
        why = f"--pcap {path}: {error.strerror}"
        raise UsageError(why, "Name a file in a folder that you may write to.") from None
    packets = len(trace.frames)
    click.echo(f"{packets} packets at their interfaces in {path}", err=True)


def _show(done: _Done, *, verbose: bool, output: str) -> None:
    trace = done.trace
    if output == "json":
        from ..report.json.trace import trace as document

        version = trace.cluster.kube_version
        click.echo(document(trace, version, done.elapsed, done.notes))
        return
    from ..report.layout import basis
    from ..report.trace import trace as told

    for line in told(trace, done.elapsed, verbose=verbose):
        click.echo(line)
    click.echo()
    for line in basis(done.how, trace.cluster, done.notes, done.skipped):
        click.echo(line)
