"""What several verbs share about a real cluster: which one is meant, and what is read of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click

from ..errors import UsageError
from .pasted import refuse_unmodelled
from .source import Input

if TYPE_CHECKING:
    from ..live.kubectl import Kubectl
    from ..live.snapshot import Snapshot

_Command: TypeAlias = Callable[..., Any]
_CONTEXT = click.option(
    "--context", metavar="NAME", help="A real cluster, through your kubectl: its context."
)
_KUBECONFIG = click.option(
    "--kubeconfig",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="The kubeconfig to use; alone it means a real cluster too.",
)
_EVERYWHERE = click.option(
    "-A", "--all-namespaces", "everywhere", is_flag=True, help="With a real cluster: all of it."
)


class Chosen(NamedTuple):
    """The cluster that the options name."""

    context: str | None = None
    kubeconfig: str | None = None
    everywhere: bool = False

    @property
    def named(self) -> bool:
        """Whether a real cluster is meant at all."""
        return self.context is not None or self.kubeconfig is not None

    def kubectl(self) -> Kubectl:
        """Ready to ask it."""
        from ..live.kubectl import Access, Kubectl

        return Kubectl(Access(self.context, self.kubeconfig))

    def input(self, given: Input, service: str | None) -> Input:
        """The same input with what is read of the cluster, if one is meant.

        service: `svc/NAME`, if one is asked for. Raises UsageError, ClusterError.
        """
        if not self.named:
            if self.everywhere:
                raise UsageError("-A means a real cluster", "Name it with --context NAME.")
            return given
        if self.everywhere and (given.namespace or service):
            also = f"-n {given.namespace}" if given.namespace else service
            raise UsageError(f"both -A and {also} are given", "Keep only one.")
        return self.snapshot(given)[0]

    def snapshot(
        self, given: Input, *, verdict: bool = True, here: bool = False
    ) -> tuple[Input, Snapshot]:
        """The input with what is read of the cluster, and what was read. verdict: whether to refuse
        a cluster whose proxies' rules are not known. here: whether the client is this machine."""
        from ..live.snapshot import take

        kubectl = self.kubectl()
        context = kubectl.context()
        namespace = None if self.everywhere else given.namespace or context.namespace
        found = take(kubectl, context, namespace)
        client = _own_addresses(found) if here else {}
        given = given._replace(namespace=namespace)
        return _with_snapshot(given, found, client, verdict=verdict), found


def cluster_options(everywhere: bool = True) -> Callable[[_Command], _Command]:
    """`--context`, `--kubeconfig` and `-A`, as kubectl has them; the command gets a Chosen."""

    def decorate(function: _Command) -> _Command:
        @wraps(function)
        def command(
            *, context: str | None, kubeconfig: str | None, everywhere: bool = False, **rest: Any
        ) -> Any:
            return function(cluster=Chosen(context, kubeconfig, everywhere), **rest)

        found = _KUBECONFIG(_CONTEXT(command))
        return _EVERYWHERE(found) if everywhere else found

    return decorate


def _own_addresses(snapshot: Snapshot) -> dict[str, Any]:
    """The section of a Lab document that says which client this machine is to the nodes."""
    from ipaddress import ip_address

    from ..live.dialling import own_address

    found: dict[int, str] = {}
    for text in (text for machine in snapshot.machines[:1] for text in machine.internal):
        if own := own_address(ip_address(text)):
            found.setdefault(own.version, str(own))
    return {"client": {"addresses": list(found.values())}} if found else {}


def _with_snapshot(
    given: Input, snapshot: Snapshot, client: dict[str, Any], *, verdict: bool
) -> Input:
    """An Input that is a snapshot's, beside the Lab files given with it. What the user says goes
    before what was inferred. Raises UsageError for other files, or a proxy of unknown rules."""
    from ..manifests import Document, read_files
    from ..manifests.read import Source

    documents = [*snapshot.documents]
    lab: dict[str, Any] = {}
    for document in read_files(given.files) if given.files else ():
        if document.object.get("kind") != "Lab":
            what = f"{document.source.name} holds a {document.object.get('kind')}"
            raise UsageError(
                f"{what}, and the objects are the cluster's",
                "Beside --context only a Lab file says something; leave the other files out.",
            )
        lab |= document.object
    if said := snapshot.lab | client | lab:
        source = Source(f"context {snapshot.context.name}", "")
        head = {"apiVersion": "secondhop/v1", "kind": "Lab"}
        documents.append(Document(head | said, source, start=0))
    mode = given.proxy_mode or (None if "proxy" in lab else _mode(snapshot, verdict))
    version = given.kube_version or (str(snapshot.version) if snapshot.version else None)
    return given._replace(
        proxy_mode=mode,
        kube_version=version,
        read=documents,
        inferences=snapshot.inferences,
        unread=snapshot.unread,
    )


def _mode(snapshot: Snapshot, verdict: bool) -> str:
    """The mode that was found. Raises UsageError if no verdict can be given for it, and one is
    wanted."""
    if verdict:
        refuse_unmodelled(snapshot.proxy)
    return snapshot.proxy.mode if snapshot.proxy.modelled else "iptables"
