"""Files that hold the Nodes of a running cluster: what they say of it is used and told, as of one
that is read through a kubeconfig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..live.proxy import Proxy
    from ..manifests import Document
    from ..model.inference import Inference
    from ..model.version import KubeVersion


def with_pasted(
    documents: Sequence[Document], version: KubeVersion, proxy_mode: str | None
) -> tuple[Sequence[Document], tuple[Inference, ...]]:
    """The documents with a Lab's sections for what was found, and what it was found by. What the
    user says goes before it: a Lab file, proxy_mode. Raises UsageError for a proxy of unknown
    rules."""
    if not any(document.object.get("kind") == "Node" for document in documents):
        return documents, ()
    from ..live.pasted import pasted
    from ..manifests import Document
    from ..manifests.read import Source

    found = pasted(documents, version)
    if found is None:
        return documents, ()
    labs = [one for one in documents if one.object.get("kind") == "Lab"]
    if proxy_mode is None and not any("proxy" in lab.object for lab in labs):
        refuse_unmodelled(found.proxy)
    if found.lab:
        head = {"apiVersion": "secondhop/v1", "kind": "Lab"}
        own = labs[-1] if labs else Document(head, Source("the Nodes of the input", ""), start=0)
        rest = [one for one in documents if one is not own]
        documents = [*rest, own._replace(object=found.lab | own.object)]
    return documents, found.inferences


def refuse_unmodelled(proxy: Proxy) -> None:
    """Raise UsageError, with what it was found by, if no verdict can be given for a proxy."""
    from ..predict.modelled import UNMODELLED

    if not proxy.modelled:
        why = UNMODELLED.get(proxy.mode, "what serves Services there is not known here")
        raise UsageError(
            f"no verdict for proxy mode {proxy.mode} ({proxy.sureness}, {proxy.source}): {why}",
            "`secondhop probe svc/NAME` tries it on the cluster; with --proxy-mode iptables the"
            " answer is kube-proxy's, not yours.",
        )
