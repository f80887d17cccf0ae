"""All controllers together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..client import Api
from .balancer import LoadBalancers
from .daemonset import DaemonSets
from .deployment import Deployments
from .endpoints import EndpointsObjects
from .endpointslices import EndpointSlices
from .garbage import GarbageCollector
from .history import EventHistory
from .loop import Context, Controller, Settings
from .lost import LostPods
from .namespaces import Namespaces
from .nodes import Nodes
from .replicaset import ReplicaSets
from .scheduler import Scheduler

CONTROLLERS: tuple[type[Controller], ...] = (
    Deployments,
    ReplicaSets,
    DaemonSets,
    Scheduler,
    EndpointSlices,
    EndpointsObjects,
    Nodes,
    Namespaces,
    GarbageCollector,
    LostPods,
    LoadBalancers,
    EventHistory,
)


async def run(
    api: Api, settings: Settings, only: Sequence[Callable[[Context], Controller]] = CONTROLLERS
) -> None:
    """Run controllers until cancelled."""
    context = Context(api, settings)
    controllers = [make(context) for make in only]
    async with asyncio.TaskGroup() as group:
        for cache in context.caches.values():
            group.create_task(cache.run())
        group.create_task(context.events.run())
        for cache in context.caches.values():
            await cache.filled()
        for controller in controllers:
            group.create_task(controller.work())
