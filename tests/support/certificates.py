"""Certificates and keys that tests make for themselves."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OWN_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@dataclass(frozen=True)
class Certificate:
    """A certificate for localhost and 127.0.0.1 that is its own authority.

    :param certificate: PEM file.
    :param key: PEM file.
    """

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A client that trusts nothing but this certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def table(self, *lines: str) -> str:
        """The TOML table ``[tls]`` that uses it, with further lines."""
        return "\n".join(
            ["[tls]", f'certificate = "{self.certificate}"', f'key = "{self.key}"', *lines, ""]
        )


def make_certificate(
    folder: Path,
    name: str = "server",
    *,
    passphrase: bytes | None = None,
    names: Sequence[x509.GeneralName] = OWN_NAMES,
) -> Certificate:
    """Write a new certificate and its key, as ``name.pem`` and ``name-key.pem``.

    :param names: the certificate is for; it has no subjectAltName if there are none.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    made = Certificate(folder / f"{name}.pem", folder / f"{name}-key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    return made
