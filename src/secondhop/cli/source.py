"""What several verbs share: the objects they are about, and which Service is meant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..manifests import World
    from ..model.cluster import ProxyMode, Service

_F = TypeVar("_F", bound=Callable[..., Any])
_NAMED = 10
_DEFAULT = "default"


def input_options(function: _F) -> _F:
    """`-f` and `-n`, as kubectl has them."""
    function = click.option(
        "-n", "--namespace", help="Only Services of this namespace; also that of objects without."
    )(function)
    return click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        metavar="FILE",
        help="Manifests and Lab files; - for stdin. Default: the reference experiment.",
    )(function)


def load(files: Sequence[str], namespace: str | None, proxy_mode: ProxyMode | None = None) -> World:
    """The objects of these files, or the reference experiment. Raises ManifestError.

    proxy_mode: in place of what a Lab document says.
    """
    from ..manifests import build, read_files, reference_documents

    documents = read_files(files, sys.stdin) if files else reference_documents()
    return build(documents, namespace=namespace or _DEFAULT, proxy_mode=proxy_mode)


def services_of(world: World, namespace: str | None) -> tuple[Service, ...]:
    """The Services of one namespace, or all."""
    services = world.cluster.services
    return tuple(s for s in services if namespace in (None, s.namespace))


def choose(world: World, wanted: str | None, namespace: str | None) -> Service:
    """The Service that `svc/NAME` names, or the only one that outside traffic can enter.

    Raises UsageError naming the candidates.
    """
    if wanted is None:
        services = services_of(world, namespace)
        open_ones = [s for s in services if any(p.node_port for p in s.ports)] or services
        if len(open_ones) == 1:
            return open_ones[0]
        raise UsageError(
            f"the input has {len(open_ones)} Services to choose from"
            + (": " + ", ".join(map(str, open_ones)) if open_ones else ""),
            f"Name one: svc/{open_ones[0].name} -n {open_ones[0].namespace}"
            if open_ones
            else "Add a Service to the files given with -f.",
        )
    services, namespace, name = world.cluster.services, namespace or _DEFAULT, _name(wanted)
    for service in services:
        if (service.namespace, service.name) == (namespace, name):
            return service
    known = alternatives(f"{namespace}/{name}", [str(service) for service in services])
    raise UsageError(
        f"there is no Service {namespace}/{name} in the input",
        f"{known} Check the name, and the namespace given with -n.",
    )


def _name(wanted: str) -> str:
    if wanted.endswith((".yaml", ".yml", ".json")):
        raise UsageError(f"{wanted} is a file, not a Service", f"Did you mean -f {wanted}?")
    kind, slash, name = wanted.partition("/")
    if not slash:
        return wanted
    if kind.lower() not in ("svc", "service", "services"):
        raise UsageError(f"{wanted} is not a Service", "Write svc/NAME.")
    return name


def alternatives(wrong: str, known: Sequence[str]) -> str:
    """What may have been meant instead: a remedy for a name that is not there."""
    from difflib import get_close_matches

    close = [name for name in known if wrong and name.startswith(wrong)]
    if close := close or get_close_matches(wrong, known, n=1):
        return f"Did you mean {close[0]}?"
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"There is {', '.join(known[:_NAMED])}{more}." if known else "There is none."
