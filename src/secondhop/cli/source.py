"""What several verbs share: the objects they are about, and which Service is meant."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ..errors import ManifestError, UsageError
from .pasted import with_pasted

if TYPE_CHECKING:
    from ..manifests import Document, Examined, World
    from ..model.cluster import Service
    from ..model.inference import Inference

_F = TypeVar("_F", bound=Callable[..., Any])
_NAMED = 10
_DEFAULT = "default"


def input_options(function: _F) -> _F:
    """`-f` and `-n`, as kubectl has them."""
    function = click.option(
        "-n", "--namespace", help="Only Services of this namespace; also that of objects without."
    )(function)
    return files_option("Manifests and Lab files; - for stdin. Default: the reference experiment.")(
        function
    )


def files_option(told: str) -> Callable[[_F], _F]:
    """`-f`; told: its line of --help."""
    return click.option("-f", "--filename", "files", multiple=True, metavar="FILE", help=told)


def selector_option(function: _F) -> _F:
    """`-l`."""
    return click.option(
        "-l", "--selector", "labels", help="Only Services with these labels, as kubectl takes them."
    )(function)


def output_option(*more: str) -> Callable[[_F], _F]:
    """`-o`: text, json, or one of more forms."""
    forms = click.Choice(["text", "json", *more])
    return click.option("-o", "--output", type=forms, default="text", show_default=True)


def balancer_option(function: _F) -> _F:
    """`--balancer`: what stands in front."""
    return click.option(
        "--balancer",
        default="every-node",
        show_default=True,
        metavar="NAME",
        help="What stands in front: every-node, healthy-nodes, weighted, single-node, snat-proxy,"
        " metallb-l2, metallb-bgp, k3s-servicelb, cloud-passthrough, cloud-proxy.",
    )(function)


def known_balancer(name: str) -> str:
    """The name itself. Raises UsageError if there is no such balancer."""
    from ..predict.balancers import BALANCERS

    if name not in BALANCERS:
        raise UsageError(f"there is no balancer {name}", alternatives(name, sorted(BALANCERS)))
    return name


def proxy_options(function: _F) -> _F:
    """`--proxy-mode` and `--kube-version`: whose rules a prediction is by."""
    function = click.option(
        "--kube-version",
        metavar="X.Y",
        help="Kubernetes release of the cluster. Default: the newest known, which is printed.",
    )(function)
    return click.option(
        "--proxy-mode",
        metavar="MODE",
        help="iptables or nftables, in place of the Lab file's. No verdict is given for others.",
    )(function)


class Input(NamedTuple):
    """What the shared options say: files, the namespace (None: of all), and the proxy mode and
    Kubernetes release as typed, None for the Lab's and the newest.

    read: the objects of a real cluster in place of the files'; inferences: what was found beside
    them; unread: what could not be.
    """

    files: Sequence[str]
    namespace: str | None
    proxy_mode: str | None = None
    kube_version: str | None = None
    read: Sequence[Document] | None = None
    inferences: tuple[Inference, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """The namespace of objects that name none."""
        return self.namespace or _DEFAULT

    def documents(self) -> list[Document]:
        """The objects of the cluster, of the files, or the reference experiment. Raises
        ManifestError."""
        from ..manifests import read_files, reference_documents

        if self.read is not None:
            return [*self.read]
        return read_files(self.files, sys.stdin) if self.files else reference_documents()

    def world(self, documents: Sequence[Document]) -> World:
        """What they make. Raises ManifestError, and UsageError for a proxy or a release whose
        rules are not known."""
        examined = self.examined(documents)
        if examined.problems and self.read is None:
            raise ManifestError(examined.problems)
        odd = tuple(f"{p.subject} {p.field}: {p.message}" for p in examined.problems)
        return replace(examined.world, notes=(*examined.world.notes, *odd))

    def examined(self, documents: Sequence[Document]) -> Examined:
        """The same, with the problems of the objects told apart. Raises as `world`, but
        ManifestError only for the Lab's own."""
        from ..manifests import examine
        from ..model.version import NEWEST, read_version
        from ..predict.modelled import modelled

        version = NEWEST if self.kube_version is None else read_version(self.kube_version)
        mode = None if self.proxy_mode is None else modelled(self.proxy_mode, version)
        inferences = self.inferences
        if self.read is None:
            documents, inferences = with_pasted(documents, version, mode)
        found = examine(documents, namespace=self.home, proxy_mode=mode, kube_version=version)
        modelled(found.world.cluster.proxy.mode, version)
        gc.freeze()  # it stays to the end: no collection need walk it
        world, unread = found.world, [f"not read: {one}" for one in self.unread]
        notes = (*world.notes, *map(str, inferences), *unread)
        inferences = (*world.inferences, *inferences)
        return found._replace(world=replace(world, notes=notes, inferences=inferences))


def load(
    files: Sequence[str],
    namespace: str | None,
    proxy_mode: str | None = None,
    kube_version: str | None = None,
) -> World:
    """The objects of these files, or the reference experiment; see Input."""
    given = Input(files, namespace, proxy_mode, kube_version)
    return given.world(given.documents())


def services_of(world: World, namespace: str | None) -> tuple[Service, ...]:
    """The Services of one namespace, or all."""
    services = world.cluster.services
    return tuple(s for s in services if namespace in (None, s.namespace))


def choose(world: World, wanted: str | None, namespace: str | None) -> Service:
    """The Service of the input that is meant; see `choose_of`."""
    return choose_of(world.cluster.services, wanted, namespace)


def choose_of(services: Sequence[Service], wanted: str | None, namespace: str | None) -> Service:
    """The Service that `svc/NAME` names, or the only one that outside traffic can enter.

    Raises UsageError naming the candidates.
    """
    if wanted is None:
        mine = [s for s in services if namespace in (None, s.namespace)]
        open_ones = [s for s in mine if any(p.node_port for p in s.ports)] or mine
        if len(open_ones) == 1:
            return open_ones[0]
        raise UsageError(
            f"the input has {len(open_ones)} Services to choose from"
            + (": " + ", ".join(map(str, open_ones)) if open_ones else ""),
            f"Name one: svc/{open_ones[0].name} -n {open_ones[0].namespace}"
            if open_ones
            else "Add a Service to the files given with -f.",
        )
    namespace, name = namespace or _DEFAULT, service_name(wanted)
    for service in services:
        if (service.namespace, service.name) == (namespace, name):
            return service
    raise UsageError(
        f"there is no Service {namespace}/{name} in the input",
        _elsewhere([s.namespace for s in services if s.name == name])
        or alternatives(f"{namespace}/{name}", [str(service) for service in services])
        + " Check the name, and the namespace given with -n.",
    )


def _elsewhere(namespaces: Sequence[str]) -> str:
    """The remedy for a Service whose name is right; empty if no namespace has it."""
    if len(namespaces) > 1:
        return f"It is in the namespaces {', '.join(namespaces[:_NAMED])}: say which with -n."
    return f"Did you mean -n {namespaces[0]}?" if namespaces else ""


def service_name(wanted: str) -> str:
    """NAME of `svc/NAME`. Raises UsageError if it names something else."""
    if wanted.endswith((".yaml", ".yml", ".json")):
        raise UsageError(f"{wanted} is a file, not a Service", f"Did you mean -f {wanted}?")
    kind, slash, name = wanted.partition("/")
    if not slash:
        return wanted
    if kind.lower() not in ("svc", "service", "services"):
        raise UsageError(f"{wanted} is not a Service", "Write svc/NAME.")
    return name


def alternatives(wrong: str, known: Sequence[str]) -> str:
    """What may have been meant instead: a remedy for a name that is not there. Of NAMESPACE/NAME
    only the name counts: one namespace makes no two names alike."""
    from difflib import get_close_matches

    wrong, names = wrong.rpartition("/")[2], [name.rpartition("/")[2] for name in known]
    close = [name for name in names if wrong and name.startswith(wrong)]
    if close := close or get_close_matches(wrong, names, n=1):
        return f"Did you mean {known[names.index(close[0])]}?"
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"There is {', '.join(known[:_NAMED])}{more}." if known else "There is none."
