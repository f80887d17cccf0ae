"""The texts that names, addresses and ports may be, and what the API server says of others.

Each function gives the server's messages for one text; none when it is well formed. Patterns that
appear in messages are part of the server's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from ...model.cluster import Address, Network

BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
BITS_BEYOND = "must not have bits set beyond the prefix length"

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ALPHANUMERIC = _LETTERS + _LETTERS.upper() + _DIGITS
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)


def port_number(number: int) -> list[str]:
    """A port: 1 to 65535."""
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def dns_label(text: str) -> list[str]:
    """A DNS-1123 label: what names of ports, namespaces and (now) Services are."""
    wrong = _longer(text, 63)
    if not _is_label(text):
        if all(map(_is_label, text.split("."))):
            wrong.append("must not contain dots")
        else:
            rule = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                "'-', and must start and end with an alphanumeric character"
            )
            wrong.append(_explained(rule, _LABEL, "my-name", "123-abc"))
    return wrong


def old_dns_label(text: str) -> list[str]:
    """A DNS-1035 label: what names of Services were before 1.36."""
    wrong = _longer(text, 63)
    if not (_is_label(text) and text[0] in _LETTERS):
        rule = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character"
        )
        pattern = "[a-z]([-a-z0-9]*[a-z0-9])?"
        wrong.append(_explained(rule, pattern, "my-name", "abc-123"))
    return wrong


def dns_subdomain(text: str) -> list[str]:
    """A DNS-1123 subdomain: labels, of any length, between dots."""
    wrong = _longer(text, 253)
    if not all(map(_is_label, text.split("."))):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
        wrong.append(_explained(rule, rf"{_LABEL}(\.{_LABEL})*", "example.com"))
    return wrong


def label_key(text: str) -> list[str]:
    """A key of labels and annotations: a name, perhaps behind a DNS subdomain and a slash."""
    prefix, slash, name = text.rpartition("/")
    examples = "MyName", "my.name", "123-abc"
    if "/" in prefix:
        return [
            "a valid label key "
            + _explained(_KEY_RULE, _KEY, *examples)
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    wrong = []
    if slash:
        reasons = dns_subdomain(prefix) if prefix else ["must be non-empty"]
        wrong = [f"prefix part {reason}" for reason in reasons]
    reasons = _longer(name, 63) if name else ["must be non-empty"]
    if not _is_key(name):
        reasons.append(_explained(_KEY_RULE, _KEY, *examples))
    return wrong + [f"name part {reason}" for reason in reasons]


def label_value(text: str) -> list[str]:
    """A value of a label: empty, or like a key without a prefix."""
    wrong = _longer(text, 63)
    if text and not _is_key(text):
        rule = f"a valid label must be an empty string or {_KEY_RULE.removeprefix('must ')}"
        wrong.append(_explained(rule, f"({_KEY})?", "MyValue", "my_value", "12345"))
    return wrong


def port_name(text: str) -> list[str]:
    """The name of a container's port, as targetPort gives it."""
    wrong = _longer(text, 15)
    if not text or text.strip(_LETTERS + _DIGITS + "-"):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any(letter in _LETTERS for letter in text):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in text:
        wrong.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        wrong.append("must not begin or end with a hyphen")
    return wrong


def address(text: str, *, strict: bool) -> list[str]:
    """An IP address. Not strict: the forms that older servers took, see parse_address."""
    if parse_address(text) is None:
        return [BAD_IP]
    if not strict:
        return []
    exact = _exact(text)
    if exact is None:
        return ["must not have leading 0s"]
    mapped = isinstance(exact, IPv6Address) and exact.ipv4_mapped
    return ["must not be an IPv4-mapped IPv6 address"] if mapped else []


def special_address(text: str) -> list[str]:
    """Why traffic from outside cannot come to an address; no message when it can."""
    ip = parse_address(text)
    if ip is None:
        return []
    if ip.is_unspecified:
        return [f"may not be unspecified ({text})"]
    if ip.is_loopback:
        return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
    if ip.is_link_local:
        return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"]
    raw = ip.packed
    if raw[:3] == b"\xe0\0\0" if ip.version == 4 else raw[0] == 0xFF and raw[1] & 0xF == 2:
        return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"]
    return []


def network(text: str, *, strict: bool) -> list[str]:
    """A CIDR. Not strict: with the addresses of parse_address, and bits beyond the prefix."""
    found = parse_network(text)
    if found is None:
        return [BAD_CIDR]
    if not strict:
        return []
    host, _, length = text.partition("/")
    exact = _exact(host)
    if exact is None or length != str(int(length)):
        return ["must not have leading 0s in IP or prefix length"]
    if isinstance(exact, IPv6Address) and exact.ipv4_mapped:
        return ["must not have an IPv4-mapped IPv6 address"]
    return [] if exact == found.network_address else [BITS_BEYOND]


def parse_address(text: str) -> Address | None:
    """An address as Kubernetes reads it: leading zeros are decimal, an IPv4-mapped IPv6 address is
    IPv4, zones are unknown."""
    exact = _exact(text) or _exact(re.sub(r"\b0+(?=[0-9a-fA-F])", "", text))
    if isinstance(exact, IPv6Address):
        return exact.ipv4_mapped or exact
    return exact


def addresses(texts: Iterable[str]) -> list[Address]:
    """Those of some texts that are addresses."""
    return [ip for text in texts if (ip := parse_address(text))]


def parse_network(text: str) -> Network | None:
    """A CIDR as Kubernetes reads it: the address like parse_address, bits beyond its length 0."""
    host, _, length = text.partition("/")
    found = parse_address(host)
    if found is None or not (length.isascii() and length.isdigit()):
        return None
    whole = f"::ffff:{found}" if ":" in host and found.version == 4 else str(found)
    try:
        return ip_network(f"{whole}/{int(length)}", strict=False)
    except ValueError:
        return None


def family(text: str) -> str:
    """`IPv4` or `IPv6`, of the text of an address."""
    found = parse_address(text)
    return f"IPv{found.version}" if found else ""


def _exact(text: str) -> Address | None:
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _longer(text: str, most: int) -> list[str]:
    size = len(text.encode(errors="replace"))
    return [f"must be no more than {most} bytes"] if size > most else []


def _is_label(text: str) -> bool:
    return bool(text) and not text.strip(_LETTERS + _DIGITS + "-") and "-" not in text[0] + text[-1]


def _is_key(text: str) -> bool:
    if not text or text.strip(_ALPHANUMERIC + "-_."):
        return False
    return text[0] in _ALPHANUMERIC and text[-1] in _ALPHANUMERIC


def _explained(rule: str, pattern: str, *examples: str) -> str:
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {listed}regex used for validation is '{pattern}')"
