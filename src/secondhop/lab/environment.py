"""A container's environment, as its pod says it (references and `$(NAME)` included)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..client import Object
from ..model.cluster import Address

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_PLACES: Mapping[str, tuple[str, ...]] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "metadata.uid": ("metadata", "uid"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
}
_ADDRESSES = {"status.podIP": "pod", "status.hostIP": "host"}
_KEY = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


class Unresolved(Exception):
    """An environment that cannot be made; the text says why, as a kubelet would."""


async def environment(
    pod: Object,
    spec: Mapping[str, Any],
    addresses: Mapping[str, Sequence[Address]],
    config_map: Callable[[str], Awaitable[Mapping[str, str] | None]],
) -> dict[str, str]:
    """The variables. addresses: of the `pod` and its `host`. config_map: the data of one by its
    name, None if there is none. Raises Unresolved."""
    found: dict[str, str] = {}
    for source in spec.get("envFrom") or []:
        named = source.get("configMapRef")
        if named is None:
            raise Unresolved("the lab has no Secrets")
        data = await config_map(named["name"])
        if data is None and not named.get("optional"):
            raise Unresolved(f'configmap "{named["name"]}" not found')
        prefix = source.get("prefix") or ""
        found |= {f"{prefix}{key}": value for key, value in (data or {}).items()}
    for entry in spec.get("env") or []:
        if "valueFrom" not in entry:
            found[entry["name"]] = expanded(entry.get("value") or "", found)
        elif (value := await _value(pod, entry["valueFrom"], addresses, config_map)) is not None:
            found[entry["name"]] = value
    return found


def expanded(text: str, known: Mapping[str, str]) -> str:
    """A text with `$(NAME)` replaced where NAME is known; `$$` is a dollar."""
    return _REFERENCE.sub(
        lambda found: "$" if found[1] == "$" else known.get(found[2], found[0]), text
    )


def commanded(words: Iterable[str], known: Mapping[str, str]) -> list[str]:
    """A command line, expanded."""
    return [expanded(word, known) for word in words]


async def _value(
    pod: Object,
    source: Mapping[str, Any],
    addresses: Mapping[str, Sequence[Address]],
    config_map: Callable[[str], Awaitable[Mapping[str, str] | None]],
) -> str | None:
    if field := source.get("fieldRef"):
        return _field(pod, field["fieldPath"], addresses)
    if key := source.get("configMapKeyRef"):
        data = await config_map(key["name"])
        if data is not None and key["key"] in data:
            return data[key["key"]]
        if key.get("optional"):
            return None
        missing = "not found" if data is None else f"has no key {key['key']}"
        raise Unresolved(f'configmap "{key["name"]}" {missing}')
    raise Unresolved(f"the lab does not know {', '.join(source)}")


def _field(pod: Object, path: str, addresses: Mapping[str, Sequence[Address]]) -> str:
    if path in _ADDRESSES:
        return str(addresses[_ADDRESSES[path]][0])
    if path.removesuffix("s") in _ADDRESSES:
        return ",".join(map(str, addresses[_ADDRESSES[path.removesuffix("s")]]))
    if path in _PLACES:
        section, name = _PLACES[path]
        return str(pod[section].get(name) or "")
    if found := _KEY.fullmatch(path):
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    raise Unresolved(f"unsupported fieldPath: {path}")
