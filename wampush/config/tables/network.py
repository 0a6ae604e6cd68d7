"""The tables ``[proxy]`` and ``[tls]``: reverse proxies and TLS.

Owns: which proxies are trusted, and the certificates. Must not import: the other tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wampush.config.checks.check import Network, Text
from wampush.config.checks.files import CertificatesFile, PrivateKeyFile

TlsVersion = Literal["1.2", "1.3"]
ForwardingHeader = Literal["x-forwarded-for", "forwarded"]
ClientCertificate = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """``[proxy]``: the reverse proxies in front of the WebSocket listeners.

    :param trusted: The proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed;
        any client can send these headers.
    :param header: Nearly all proxies send it; ``forwarded`` is for those that send the header of
        RFC 7239 instead. Proxies pass on what clients write into the other one, so only one is
        read.
    """

    trusted: tuple[Network, ...] = ()
    header: ForwardingHeader = "x-forwarded-for"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``[tls]``: for ``ssl:`` listeners that name no key of their own. Files are PEM.

    :param certificate: The server's certificate; intermediate certificates may follow it in the
        file.
    :param key: The private key of the certificate, without a passphrase.
    :param chain: Intermediate certificates, if they are not in the file of the certificate.
    :param minimum_version: Older versions are broken (RFC 8996); every browser since 2014 has 1.2.
    :param ciphers: Forward secrecy and authenticated encryption only; an OpenSSL list for TLS 1.2.
    :param client_ca: The authorities whose client certificates are accepted.
    :param client_certificate: Few pages have one. ``optional`` checks a certificate that is sent,
        ``required`` refuses clients without one.
    """

    certificate: CertificatesFile = ""
    key: PrivateKeyFile = ""
    chain: CertificatesFile = ""
    minimum_version: TlsVersion = "1.2"
    ciphers: Text = "ECDHE+AESGCM:ECDHE+CHACHA20"
    client_ca: CertificatesFile = ""
    client_certificate: ClientCertificate = "off"
