"""What a lab's API and its clients know of each other: a certificate of its own CA, and a token."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...client.tls import show

_LIFE, _SKEW = timedelta(days=365), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts of one lab, and the bearer token of its clients. There is no key of the CA: it
    signed once and is forgotten."""

    authority: str
    certificate: str
    key: str = field(repr=False)
    token: str = field(repr=False)


def make_credentials(names: Sequence[str]) -> Credentials:
    """New ones, for a server that is reached by these names and addresses."""
    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, leaf_name = _name("secondhop-ca"), _name("secondhop")
    identity = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    authority = (
        _certificate(root_name, root_name, root)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS, critical=True)
        .add_extension(identity, critical=False)
    )
    certificate = (
        _certificate(leaf_name, root_name, leaf)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(list(map(_reached, names))), critical=False)
    )
    return Credentials(
        authority=_signed(authority, root),
        certificate=_signed(certificate, root),
        key=leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        token=secrets.token_urlsafe(32),
    )


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """TLS for the server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    show(context, credentials.certificate, credentials.key)
    return context


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> str:
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def _reached(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
