"""Which kubeconfigs are understood, and what is said of the others."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from secondhop.apiserver.http.credentials import make_credentials
from secondhop.apiserver.http.kubeconfig import kubeconfig
from secondhop.client.kubeconfig import Access, read_kubeconfig
from secondhop.errors import UsageError


def written(folder: Path, user: str, cluster: str = "server: https://a:1") -> Path:
    path = folder / "config"
    path.write_text(f"""\
contexts:
- name: one
  context: {{cluster: c, user: u, namespace: n}}
clusters:
- name: c
  cluster: {{{cluster}}}
users:
- name: u
  user: {{{user}}}
current-context: one
""")
    return path


def test_the_labs_own_is_read_back(tmp_path: Path) -> None:
    made = make_credentials(["127.0.0.1"])
    path = tmp_path / "config"
    path.write_text(kubeconfig("lab", "https://127.0.0.1:6443", made))
    expected = Access("https://127.0.0.1:6443", made.authority, made.token)
    assert read_kubeconfig(path) == read_kubeconfig(path, "lab") == expected
    assert made.token not in repr(expected)


def test_a_certificate_in_the_file_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("KEY")
    data = base64.b64encode(b"CERTIFICATE").decode()
    found = read_kubeconfig(
        written(tmp_path, f"client-certificate-data: {data}, client-key: key.pem")
    )
    assert (found.certificate, found.key, found.namespace) == ("CERTIFICATE", "KEY", "n")


def test_a_token_beside_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("TOKEN\n")
    cluster = "server: https://a:1, insecure-skip-tls-verify: true"
    found = read_kubeconfig(written(tmp_path, "tokenFile: token", cluster))
    assert (found.token, found.insecure) == ("TOKEN", True)


@pytest.mark.parametrize(
    ("user", "cluster", "text"),
    [
        ("exec: {command: aws}", "server: https://a", "logs in by exec"),
        ("token: t", "", "has no server"),
        ("tokenFile: none", "server: https://a", "No such file"),
        ("token: t", "server: https://a, certificate-authority-data: '%'", "is not base64"),
    ],
)
def test_what_is_not_understood(tmp_path: Path, user: str, cluster: str, text: str) -> None:
    path = written(tmp_path, user, cluster)
    with pytest.raises(UsageError, match=text) as error:
        read_kubeconfig(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize("text", ["[", "- a", "a: b", ""])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_kubeconfig(path)
    with pytest.raises(UsageError):
        read_kubeconfig(tmp_path / "none")
