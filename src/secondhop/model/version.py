"""Kubernetes versions, and since which one a behaviour is on by default (semantics §15)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from ..errors import UsageError

Feature: TypeAlias = Literal[
    "internalTrafficPolicy",
    "topology hints",
    "terminating fallback",
    "endpoint weight header",
    "draining /healthz",
    "ipMode",
    "trafficDistribution",
    "nftables mode",
    "node hints",
]

_WRITTEN = re.compile(r"v?(\d{1,3})\.(\d{1,4})(?:\.\d+)?\+?(?:[-+][-+.\w]*)?", re.ASCII)


class KubeVersion(NamedTuple):
    """A minor release; patch releases do not change the rules."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    def has(self, feature: Feature) -> bool:
        """Whether this release behaves so unless a feature gate says otherwise."""
        return self >= SINCE[feature]


NEWEST = KubeVersion(1, 36)
OLDEST = KubeVersion(1, 21)
"""The first that has the EndpointSlices (discovery.k8s.io/v1) which the rules are about."""

SINCE: Mapping[Feature, KubeVersion] = {
    "internalTrafficPolicy": KubeVersion(1, 22),
    "topology hints": KubeVersion(1, 24),
    "terminating fallback": KubeVersion(1, 26),
    "endpoint weight header": KubeVersion(1, 28),
    "draining /healthz": KubeVersion(1, 30),
    "ipMode": KubeVersion(1, 30),
    "trafficDistribution": KubeVersion(1, 31),
    "nftables mode": KubeVersion(1, 31),
    "node hints": KubeVersion(1, 34),
}
"""The first release that has a behaviour without anybody turning it on: beta, on by default."""


def read_version(text: str) -> KubeVersion:
    """The release that a version names, as `kubectl version` writes it (`v1.27.3+k3s1`) or short
    (`1.27`). UsageError if it is none, or one whose rules are not known."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is not a Kubernetes version", f"Write for example {NEWEST} or v1.27.3+k3s1."
        )
    version = KubeVersion(int(found[1]), int(found[2]))
    if version > NEWEST:
        raise UsageError(
            f"Kubernetes {version} is not known yet: the newest known is {NEWEST}",
            f"Leave --kube-version out to have the rules of {NEWEST}.",
        )
    if version < OLDEST:
        raise UsageError(
            f"Kubernetes {version} is too old: the rules are known from {OLDEST} on",
            f"Name a version from {OLDEST} to {NEWEST}.",
        )
    return version
