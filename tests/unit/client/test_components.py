"""Controllers over either transport: what they make of a Deployment is the same."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from serving import a_cluster, over_https

from secondhop.apiserver.local import LocalApi
from secondhop.client.api import Api, Object
from secondhop.client.url import UrlApi
from secondhop.controllers.loop import Settings
from secondhop.controllers.run import run as run_controllers

Scenario: TypeAlias = Callable[[Api], Awaitable[None]]
LABELS = {"app": "web"}
NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "gz1", "labels": {"kubernetes.io/hostname": "gz1"}},
}
CONTAINER = {"name": "whoami", "image": "traefik/whoami"}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}},
    },
}
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"selector": LABELS, "ports": [{"port": 80}]},
}
READY = {
    "phase": "Running",
    "podIP": "10.42.0.2",
    "podIPs": [{"ip": "10.42.0.2"}],
    "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ],
}


@pytest.mark.parametrize("transport", ["local", "url"])
def test_a_deployment_becomes_pods_and_endpoints(transport: str) -> None:
    async def play() -> None:
        server = a_cluster()
        if transport == "local":
            await scenario(LocalApi(server))
            return
        async with over_https(server) as served, UrlApi(served.access) as api:
            await scenario(api)

    asyncio.run(asyncio.wait_for(play(), 30))


async def scenario(api: Api) -> None:
    controllers = asyncio.create_task(run_controllers(api, Settings()))
    try:
        for value in (NODE, DEPLOYMENT, SERVICE):
            await api.create(value)
        while sum("nodeName" in pod["spec"] for pod in await pods(api)) < 2:
            await asyncio.sleep(0.02)
        first = (await pods(api))[0]
        await api.patch("Pod", first["metadata"]["name"], "default", {"status": READY},
                        subresource="status")  # fmt: skip
        while await addresses(api) != ["10.42.0.2"]:
            await asyncio.sleep(0.02)
        await api.delete("Deployment", "web", "default")
        while [pod for pod in await pods(api) if "deletionTimestamp" not in pod["metadata"]]:
            await asyncio.sleep(0.02)
        assert not controllers.done()
    finally:
        controllers.cancel()
        await asyncio.gather(controllers, return_exceptions=True)


async def pods(api: Api) -> list[Object]:
    return list((await api.list("Pod", "default", labels="app=web")).items)


async def addresses(api: Api) -> list[str]:
    slices = await api.list("EndpointSlice", "default", labels="kubernetes.io/service-name=web")
    return [a for one in slices.items for e in one.get("endpoints") or () for a in e["addresses"]]
