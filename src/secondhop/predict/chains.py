"""The names of kube-proxy's chains, so that a reader can find the rule on a node (§3.4)."""

from __future__ import annotations

from base64 import b32encode
from functools import lru_cache
from hashlib import sha256
from typing import Literal, TypeAlias

from ..model.cluster import ProxyMode, ServicePortName

Part: TypeAlias = Literal["service", "local", "firewall"]

IPTABLES_PREFIX: dict[Part, str] = {
    "service": "KUBE-SVC-",
    "local": "KUBE-SVL-",
    "firewall": "KUBE-FW-",
}


@lru_cache(maxsize=4096)
def service_chain(mode: ProxyMode, part: Part, name: ServicePortName) -> str:
    """The chain of one service port: `KUBE-SVC-…` of iptables, `service-…` of nftables."""
    protocol = name.protocol.lower()
    if mode == "iptables":
        return IPTABLES_PREFIX[part] + _digest(f"{name}{protocol}", 16)
    path = f"{name.namespace}/{name.service}/{protocol}/{name.port}"
    return f"{part}-{_digest(path, 8)}-{path}"


def _digest(text: str, length: int) -> str:
    return b32encode(sha256(text.encode()).digest()).decode()[:length]
