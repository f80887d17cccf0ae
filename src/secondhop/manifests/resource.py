"""A Kubernetes object of the input, and the words to refuse it with."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from ..model.cluster import Address, Network, Protocol
from .api.syntax import BAD_CIDR, BAD_IP, BITS_BEYOND, dns_label, dns_subdomain, port_number
from .problems import Path, Problems, dotted, invalid, printable
from .read import Document, Source

EMPTY: tuple[Any, ...] = (None, {}, [])
"""What gives way to a field that is put in its place."""
LABEL_REMEDY = "Use letters a-z, digits and inner dashes."
SUBDOMAIN_REMEDY = "Use letters a-z, digits, inner dashes and dots."


class Resource(NamedTuple):
    """An object whose fields have been checked against the schema.

    namespace: empty when the kind has none. Problems go to the common collection.
    """

    document: Document
    kind: str
    namespace: str
    name: str
    problems: Problems

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name
        return printable(f"{self.kind or 'document'} {name}".rstrip())

    def get(self, *path: str | int) -> Any:
        """The value of a field; None when it, or an ancestor, is missing."""
        return dig(self.document.object, path)

    @property
    def from_server(self) -> bool:
        """An API server gave it a uid: it has been accepted, by rules that may be newer."""
        return bool(self.get("metadata", "uid"))

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.get("metadata", "labels") or {}

    def refuse(
        self,
        path: Path,
        message: str,
        remedy: str,
        field: str | None = None,
        id: str = "invalid-value",
    ) -> None:
        """A problem with one field; `field` when the API server names it otherwise; `id`: see
        Problem."""
        document = self.document
        self.problems.add(
            document.source.name,
            document.line(path),
            str(self),
            dotted(path) if field is None else field,
            message,
            remedy,
            id,
        )

    def address(self, path: Path, text: str) -> Address | None:
        """An IP address; refused if it is none."""
        try:
            return ip_address(text)
        except ValueError:
            self.refuse(path, invalid(text, BAD_IP), "Write one address, without a prefix.")
            return None

    def network(self, path: Path, text: str) -> Network | None:
        """A CIDR without bits beyond its prefix; refused if it is none."""
        try:
            if "/" not in text:
                raise ValueError(text)
            return ip_network(text, strict=True)
        except ValueError:
            self.refuse(path, *bad_network(text))
            return None

    def port(self, path: Path, number: int) -> bool:
        """Whether it is a port number; refused if not."""
        remedy = "Choose a port number in that range."
        return self._admit(path, number, port_number(number), remedy)

    def label(self, path: Path, name: str) -> bool:
        """Whether it is a DNS-1123 label; refused if not."""
        return self._admit(path, name, dns_label(name), LABEL_REMEDY)

    def subdomain(self, path: Path, name: str) -> bool:
        """Whether it is a DNS-1123 subdomain; refused if not."""
        return self._admit(path, name, dns_subdomain(name), SUBDOMAIN_REMEDY)

    def _admit(self, path: Path, value: object, messages: list[str], remedy: str) -> bool:
        for why in messages:
            self.refuse(path, invalid(value, why), remedy)
        return not messages


def stored(value: dict[str, Any]) -> Resource:
    """The Resource of an object that an API server holds: it stands in no file, and what it would
    be refused for has been accepted."""
    metadata = value["metadata"]
    document = Document(value, Source("", ""))
    return Resource(
        document, value["kind"], metadata.get("namespace") or "", metadata["name"], Problems()
    )


def bad_network(text: str) -> tuple[str, str]:
    """Message and remedy for a text that is not a CIDR."""
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return invalid(text, BAD_CIDR), "Write an address and a prefix length."
    if "/" not in text:
        return invalid(text, BAD_CIDR), f"Add the prefix length: {meant}."
    return invalid(text, BITS_BEYOND), f"Write {meant}."


def dig(value: Any, path: Sequence[str | int]) -> Any:
    """The value at a path of plain data; None when anything on the way is missing."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return None
    return value


def child(parent: Any, part: str | int, empty: Any) -> Any:
    """The value under a key or index, made if it is missing; None if it cannot be."""
    if isinstance(parent, list) and isinstance(part, int):
        while len(parent) <= part:
            parent.append({})
        return parent[part]
    if isinstance(parent, dict) and isinstance(part, str):
        if parent.get(part) in EMPTY:
            parent[part] = empty
        return parent[part]
    return None


def protocol_of(value: str | None) -> Protocol:
    """A protocol field after defaulting."""
    if value == "UDP":
        return "UDP"
    return "SCTP" if value == "SCTP" else "TCP"
