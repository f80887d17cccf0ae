"""How the lab's components speak to a Kubernetes API: one interface, two transports (in-process and
URL), and the cache that a list and a watch keep."""

from .api import Api, Event, Listing, Object, PatchForm, meta

__all__ = ["Api", "Event", "Listing", "Object", "PatchForm", "meta"]
