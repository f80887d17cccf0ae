"""Whose release's rules a cluster goes by."""

from __future__ import annotations

import re

from ..model.inference import Inference
from ..model.version import NEWEST, KubeVersion, read_version
from .clues import Clues

_MINOR = re.compile(r"v?(\d+)\.(\d+)")
_WHAT = "Kubernetes version"


def find_version(clues: Clues) -> tuple[KubeVersion | None, Inference]:
    """The API server's; None where its rules are not known. UsageError for one that is too old."""
    found = _MINOR.match(clues.server)
    if found is None:
        why = "the API server does not tell its version"
        return None, Inference(_WHAT, str(NEWEST), "assumed", why)
    own = KubeVersion(int(found[1]), int(found[2]))
    if own > NEWEST:
        doubt = f"the cluster runs {own}, whose rules are not known yet: those of {NEWEST} are used"
        return None, Inference(_WHAT, str(own), "read", "of the API server", doubt)
    version = read_version(clues.server)
    old = others(clues, own)
    doubt = f"nodes run {', '.join(old)}: their kube-proxies may be as old" if old else ""
    return version, Inference(_WHAT, str(version), "read", "of the API server", doubt)


def others(clues: Clues, own: KubeVersion) -> list[str]:
    """The versions of nodes that run another release."""
    return sorted({m.kubelet for m in clues.machines if _other(m.kubelet, own)})


def _other(kubelet: str, own: KubeVersion) -> bool:
    found = _MINOR.match(kubelet)
    return found is not None and KubeVersion(int(found[1]), int(found[2])) != own
