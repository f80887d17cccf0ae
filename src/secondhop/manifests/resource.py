"""A Kubernetes object of the input, and the words to refuse it with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from ..model.cluster import Address, Network, Protocol
from .problems import Path, Problems, dotted, invalid, printable
from .read import Document

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL.pattern}(\.{_LABEL.pattern})*")
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character"
)
BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
BAD_PORT = "must be between 1 and 65535, inclusive"


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

    def refuse(self, path: Path, message: str, remedy: str, field: str | None = None) -> None:
        """A problem with one field; `field` when the API server names it otherwise."""
        document = self.document
        self.problems.add(
            document.source.name,
            document.line(path),
            str(self),
            dotted(path) if field is None else field,
            message,
            remedy,
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
        if 1 <= number <= 65535:
            return True
        self.refuse(path, invalid(number, BAD_PORT), "Choose a port number in that range.")
        return False

    @staticmethod
    def is_label(name: str) -> bool:
        """Whether a text is a DNS-1123 label."""
        return _LABEL.fullmatch(name) is not None

    def label(self, path: Path, name: str) -> bool:
        """Whether it is a DNS-1123 label; refused if not."""
        if self.is_label(name):
            return True
        self.refuse(path, invalid(name, LABEL_RULE), "Use letters a-z, digits and inner dashes.")
        return False

    def subdomain(self, path: Path, name: str) -> bool:
        """Whether it is a DNS-1123 subdomain; refused if not."""
        if _SUBDOMAIN.fullmatch(name):
            return True
        remedy = "Use letters a-z, digits, inner dashes and dots."
        self.refuse(path, invalid(name, SUBDOMAIN_RULE), remedy)
        return False


def bad_network(text: str) -> tuple[str, str]:
    """Message and remedy for a text that is not a CIDR."""
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return invalid(text, BAD_CIDR), "Write an address and a prefix length."
    if "/" not in text:
        return invalid(text, BAD_CIDR), f"Add the prefix length: {meant}."
    why = "must not have bits set beyond the prefix length"
    return invalid(text, why), f"Write {meant}."


def dig(value: Any, path: Sequence[str | int]) -> Any:
    """The value at a path of plain data; None when anything on the way is missing."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def protocol_of(value: str | None) -> Protocol:
    """A protocol field after defaulting."""
    if value == "UDP":
        return "UDP"
    return "SCTP" if value == "SCTP" else "TCP"
