"""What a lab begins with: the objects that its owner asked for."""

import asyncio
from typing import Any

import pytest
from serving import a_cluster

from secondhop.apiserver.local import LocalApi
from secondhop.errors import UsageError
from secondhop.lab.ordered import create


def service(namespace: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": namespace}
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def test_objects_come_with_the_namespaces_that_they_are_in() -> None:
    api = LocalApi(a_cluster())

    async def created() -> set[str | None]:
        await create(api, [service("shop"), service("default")])
        return {one["metadata"]["namespace"] for one in (await api.list("Service")).items}

    assert asyncio.run(created()) == {"shop", "default"}


def test_a_refusal_names_the_object_and_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"^Service web: .*spec\.type") as refused:
        asyncio.run(create(LocalApi(a_cluster()), [service("default", type="NodePorts")]))
    assert "-f" in refused.value.remedy
