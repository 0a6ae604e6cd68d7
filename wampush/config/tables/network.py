"""The tables ``[proxy]`` and ``[tls]``: reverse proxies and TLS.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wampush.config.checks.common import Network, Text
from wampush.config.checks.files import CertificatesFile, PrivateKeyFile
from wampush.config.setting import setting

TlsVersion = Literal["1.2", "1.3"]
ForwardingHeader = Literal["x-forwarded-for", "forwarded"]
ClientCertificate = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """``[proxy]``: the reverse proxies in front of the WebSocket listeners."""

    trusted: tuple[Network, ...] = setting(
        (),
        "The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; any client "
        "can send these headers.",
    )
    header: ForwardingHeader = setting(
        "x-forwarded-for",
        "Nearly all proxies send it; `forwarded` is for those that send the header of RFC 7239 "
        "instead. Proxies pass on what clients write into the other one, so only one is read.",
    )


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``[tls]``: for ``ssl:`` listeners that name no key of their own. Files are PEM."""

    certificate: CertificatesFile = setting(
        "", "The server's certificate; intermediate certificates may follow it in the file."
    )
    key: PrivateKeyFile = setting("", "The private key of the certificate, without a passphrase.")
    chain: CertificatesFile = setting(
        "", "Intermediate certificates, if they are not in the file of the certificate."
    )
    minimum_version: TlsVersion = setting(
        "1.2", "Older versions are broken (RFC 8996); every browser since 2014 has 1.2."
    )
    ciphers: Text = setting(
        "ECDHE+AESGCM:ECDHE+CHACHA20",
        "Forward secrecy and authenticated encryption only; an OpenSSL list for TLS 1.2.",
    )
    client_ca: CertificatesFile = setting(
        "", "The authorities whose client certificates are accepted."
    )
    client_certificate: ClientCertificate = setting(
        "off",
        "Few pages have one. `optional` checks a certificate that is sent, `required` refuses "
        "clients without one.",
    )
