"""The file that tells kubectl and others how to reach a lab."""

from __future__ import annotations

import base64

from .credentials import Credentials

_TEXT = """\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {name}
  user:
    token: {token}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
current-context: {name}
"""


def kubeconfig(name: str, server: str, credentials: Credentials) -> str:
    """The text of a kubeconfig; a secret. name: of cluster, user and context; server: a URL."""
    authority = base64.b64encode(credentials.authority.encode()).decode()
    return _TEXT.format(name=name, server=server, authority=authority, token=credentials.token)
