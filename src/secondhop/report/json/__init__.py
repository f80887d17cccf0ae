"""The documents of `-o json` (product.md): apiVersion secondhop/v1, shapes kept by a schema; a file
for each kind, and what they have in common in `parts`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...model.version import KubeVersion

API_VERSION = "secondhop/v1"


def document(kind: str, version: KubeVersion | None, fields: Mapping[str, Any]) -> str:
    """One document of ours, ready to print. version: of the rules, None where there are none."""
    return json.dumps({**head(kind, version), **fields}, indent=1)


def head(kind: str, version: KubeVersion | None) -> dict[str, Any]:
    """What every document begins with."""
    found = {"apiVersion": API_VERSION, "kind": kind}
    return found if version is None else found | {"kubeVersion": str(version)}
