"""What the API server refuses in probes and lifecycle hooks."""

from __future__ import annotations

from collections.abc import Iterator

from ..client.api import Object
from ..manifests.api.field import FieldError, forbidden, invalid, not_supported, required
from ..manifests.api.syntax import port_name, port_number
from ..manifests.problems import Path

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_SCHEMES = ("HTTP", "HTTPS")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
           "failureThreshold")  # fmt: skip


def probe_rules(probe: Object, path: Path) -> Iterator[FieldError]:
    """Refusals of a probe; path ends with what it is of."""
    yield from _handler(probe, path, _PROBE_HANDLERS)
    for name in _COUNTS:
        if (probe.get(name) or 0) < 0:
            yield invalid((*path, name), probe[name], "must be greater than or equal to 0")
    if path[-1] != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        yield invalid((*path, "successThreshold"), probe["successThreshold"], "must be 1")


def lifecycle_rules(lifecycle: Object, path: Path, grace: int) -> Iterator[FieldError]:
    """Refusals of the hooks of a container; grace: the seconds that its pod has to end."""
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            yield from _handler(lifecycle[name], (*path, name), _HOOK_HANDLERS)
            yield from _sleep(lifecycle[name].get("sleep"), (*path, name, "sleep"), grace)


def _sleep(sleep: Object | None, path: Path, grace: int) -> Iterator[FieldError]:
    seconds = (sleep or {}).get("seconds") or 0
    if sleep is not None and not 0 <= seconds <= grace:
        why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        yield invalid(path, seconds, why)


def _handler(part: Object, path: Path, kinds: tuple[str, ...]) -> Iterator[FieldError]:
    given = [name for name in kinds if part.get(name) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for name in given[1:]:
        yield forbidden((*path, name), "may not specify more than 1 handler type")
    for name in given[:1]:
        here = (*path, name)
        match name:
            case "exec":
                if not part["exec"].get("command"):
                    yield required((*here, "command"))
            case "httpGet":
                yield from _http(part["httpGet"], here)
            case "tcpSocket" | "grpc":
                yield from _port(part[name].get("port", 0), (*here, "port"))


def _http(get: Object, path: Path) -> Iterator[FieldError]:
    if not get.get("path"):
        yield required((*path, "path"))
    yield from _port(get.get("port", 0), (*path, "port"))
    if get.get("scheme") not in _SCHEMES:
        yield not_supported((*path, "scheme"), get.get("scheme", ""), _SCHEMES)


def _port(port: int | str, path: Path) -> Iterator[FieldError]:
    for why in port_number(port) if isinstance(port, int) else port_name(port):
        yield invalid(path, port, why)
