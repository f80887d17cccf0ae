"""What a lab with controllers begins with, as its owner ordered it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..client import Api, Object, meta
from ..controllers.loop import Settings
from ..errors import ApiError, UsageError
from ..model.version import KubeVersion

if TYPE_CHECKING:
    from ..manifests import Lab


def settings(described: Lab, version: KubeVersion) -> Settings:
    """The controllers' settings. described: what the Lab document says."""
    return Settings(
        placement=described.placement,
        node_grace_seconds=described.node_grace_seconds,
        pool=described.balancer.pool,
        kube_version=version,
    )


async def create(api: Api, objects: Iterable[Object]) -> None:
    """Create objects, each in a namespace that is there. Raises UsageError."""
    for value in objects:
        namespace, name = meta(value)
        if namespace:
            await _there(api, namespace)
        try:
            await api.create(value)
        except ApiError as error:
            raise UsageError(
                f"{value['kind']} {name}: {error.message}", "Correct it in the files given with -f."
            ) from None


async def _there(api: Api, namespace: str) -> None:
    try:
        await api.get("Namespace", namespace)
    except ApiError:
        metadata = {"name": namespace}
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
