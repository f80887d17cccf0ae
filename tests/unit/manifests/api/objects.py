"""Services as the API server's rules meet them: with every default."""

from __future__ import annotations

from typing import Any

from secondhop.manifests.api.default import default_service
from secondhop.manifests.api.field import Object
from secondhop.manifests.api.update import synced


def service(name: str = "web", **spec: Any) -> Object:
    """A Service with one port 80 unless said otherwise; None takes a default away."""
    metadata = {"name": name, "namespace": "shop", "resourceVersion": "7"}
    metadata |= spec.pop("metadata", {})
    status = spec.pop("status", None)
    given = {"metadata": metadata, "spec": {"ports": [{"port": 80}]} | spec}
    if status:
        given["status"] = status
    done = synced(default_service(given))
    for field, value in spec.items():
        if value is None:
            done["spec"].pop(field, None)
    return done


def port(number: int, node: int = 0, protocol: str = "TCP", name: str = "") -> Object:
    made: Object = {"name": name or f"p{number}-{protocol.lower()}", "port": number}
    return made | {"protocol": protocol} | ({"nodePort": node} if node else {})
