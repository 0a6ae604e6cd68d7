"""The settings about reverse proxies and TLS.

Owns: the tables ``[proxy]`` and ``[tls]``.
Must not import: Twisted, Autobahn, other tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wampush.config.checks.common import (
    Choice,
    FilePath,
    ListOf,
    Network,
    Text,
)

if TYPE_CHECKING:
    pass
from wampush.config.setting import about

ClientCertificate = Literal["off", "optional", "required"]


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """``[proxy]``: the reverse proxies in front of the WebSocket listeners."""

    trusted: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; anybody can send them.",
            ListOf(Network()),
        ),
    )


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``[tls]``: what ``ssl:`` listeners use that name no key of their own. Files are PEM."""

    certificate: str = field(
        default="",
        metadata=about(
            "",
            "The server's certificate; the ones that lead from it to the authority may follow it.",
            FilePath(),
        ),
    )
    key: str = field(
        default="",
        metadata=about("", "The private key of the certificate, without a passphrase.", FilePath()),
    )
    chain: str = field(
        default="",
        metadata=about(
            "",
            "Intermediate certificates, where they are not in the file of the certificate.",
            FilePath(),
        ),
    )
    minimum_version: Literal["1.2", "1.3"] = field(
        default="1.2",
        metadata=about(
            "",
            "Older versions are broken (RFC 8996); every browser since 2014 has 1.2.",
            Choice(("1.2", "1.3")),
        ),
    )
    ciphers: str = field(
        default="ECDHE+AESGCM:ECDHE+CHACHA20",
        metadata=about(
            "",
            "Forward secrecy and authenticated encryption only; an OpenSSL list for TLS 1.2.",
            Text(),
        ),
    )
    client_ca: str = field(
        default="",
        metadata=about("", "The authorities whose client certificates are accepted.", FilePath()),
    )
    client_certificate: ClientCertificate = field(
        default="off",
        metadata=about(
            "",
            "Pages rarely have one. `optional` checks it if there is one, `required` insists.",
            Choice(("off", "optional", "required")),
        ),
    )
