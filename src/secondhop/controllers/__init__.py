"""Deployment, ReplicaSet, scheduler, EndpointSlice, node lifecycle and more: each one watch to one
write, over an Api."""

from .loop import Settings
from .run import run

__all__ = ["Settings", "run"]
