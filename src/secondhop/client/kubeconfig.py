"""Where a cluster's API is and how one proves who one is, out of a kubeconfig file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError

_REMEDY = "Give a kubeconfig such as `kubectl config view --flatten --minify` writes."


@dataclass(frozen=True, slots=True)
class Access:
    """server: a URL. authority: the CA as PEM, None for the system's. A token, or a certificate
    and key as PEM. insecure: the server's certificate is not checked."""

    server: str
    authority: str | None = None
    token: str | None = field(default=None, repr=False)
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    insecure: bool = False
    namespace: str = "default"


def read_kubeconfig(path: Path, context: str | None = None) -> Access:
    """The access that a context of a kubeconfig gives; None: its current one. Raises UsageError
    for a file that cannot be read, and for ways to log in that need another program."""
    import yaml

    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {error}", _REMEDY) from None
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not a kubeconfig", _REMEDY)
    return _Reader(path, config).access(context or config.get("current-context") or "")


class _Reader:
    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self._path, self._config = path, config

    def access(self, name: str) -> Access:
        context = self._entry("contexts", "context", name)
        cluster = self._entry("clusters", "cluster", context.get("cluster", ""))
        user = self._entry("users", "user", context.get("user", ""))
        for way in "exec", "auth-provider", "username":
            if way in user:
                raise self._wrong(f"its user logs in by {way}, which only kubectl can do")
        if "server" not in cluster:
            raise self._wrong(f"the cluster of context {name!r} has no server")
        return Access(
            server=cluster["server"],
            authority=self._pem(cluster, "certificate-authority"),
            token=self._token(user),
            certificate=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            namespace=context.get("namespace") or "default",
        )

    def _entry(self, group: str, key: str, name: str) -> Mapping[str, Any]:
        for entry in self._config.get(group) or []:
            if isinstance(entry, dict) and entry.get("name") == name:
                value = entry.get(key) or {}
                if isinstance(value, dict):
                    return value
        raise self._wrong(f"there is no {key} {name!r}")

    def _pem(self, entry: Mapping[str, Any], key: str) -> str | None:
        try:
            if data := entry.get(f"{key}-data"):
                return base64.b64decode(data, validate=True).decode()
        except (TypeError, ValueError, binascii.Error):
            raise self._wrong(f"{key}-data is not base64") from None
        return self._file(entry[key]) if entry.get(key) else None

    def _token(self, user: Mapping[str, Any]) -> str | None:
        if user.get("token"):
            return str(user["token"])
        return self._file(user["tokenFile"]).strip() if user.get("tokenFile") else None

    def _file(self, name: str) -> str:
        """Relative names begin at the kubeconfig's folder, as for kubectl."""
        try:
            return (self._path.parent / name).read_text()
        except (OSError, UnicodeError) as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, message: str) -> UsageError:
        return UsageError(f"{self._path}: {message}", _REMEDY)
