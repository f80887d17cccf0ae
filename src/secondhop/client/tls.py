"""Certificates for TLS."""

from __future__ import annotations

import ssl
from tempfile import NamedTemporaryFile


def show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Let one side of a connection show a certificate. Both as PEM."""
    with NamedTemporaryFile("w") as file:  # mode 0600; the ssl module reads keys from files only
        file.write(f"{certificate}\n{key}")
        file.flush()
        context.load_cert_chain(file.name)
