"""The settings about who may connect, how that is protected, and who may do what.

Owns: the tables ``[proxy]``, ``[zmq]``, ``[tls]`` and ``[[permissions]]``, which ``settings``
joins to the others; the form of a setting's metadata.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and ``topics``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from wampush.checkers.common import (
    Checker,
    Choice,
    FileMode,
    FilePath,
    Flag,
    ListOf,
    Network,
    Number,
    PullAddress,
    Text,
    WholeNumber,
)
from wampush.checkers.permissions import ACTIONS, RECEIVERS, PermissionPattern
from wampush.topics import covers_all_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ClientCertificate = Literal["off", "optional", "required"]

GIB = 2**30


def about(unit: str, reason: str, checker: Checker) -> Mapping[str, Any]:
    """The metadata of a setting."""
    return {"unit": unit, "reason": reason, "checker": checker}


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
class ZmqSettings:
    """``[zmq]``: the ZeroMQ PULL sockets that backends push to. Sizes are in bytes."""

    pull: tuple[str, ...] = field(
        default=("tcp://127.0.0.1:5555",),
        metadata=about(
            "",
            "Existing backends push to this address; loopback, because a push is trusted.",
            ListOf(PullAddress()),
        ),
    )
    topic_key: str = field(
        default="category",
        metadata=about(
            "", "The key under which existing backends name the topic of a push.", Text()
        ),
    )
    high_water_mark: int = field(
        default=1000,
        metadata=about(
            "messages",
            "ZeroMQ's own default: a short burst fits, and memory stays bounded (0 would not be).",
            WholeNumber(1, 10_000_000),
        ),
    )
    max_message_bytes: int = field(
        default=1_048_576,
        metadata=about(
            "bytes",
            "Far above any event for a page; every receiver may have to queue it.",
            WholeNumber(64, GIB),
        ),
    )
    curve_secret_key_file: str = field(
        default="",
        metadata=about(
            "",
            "The server's CURVE key: bound TCP sockets then take encrypted connections only.",
            FilePath(),
        ),
    )
    curve_client_keys: str = field(
        default="",
        metadata=about(
            "",
            "File or folder with the public keys of backends; a key that is not there is refused.",
            FilePath(),
        ),
    )
    allow: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Who may connect to bound TCP sockets; empty: everybody that reaches them.",
            ListOf(Network()),
        ),
    )
    ipc_mode: str = field(
        default="0600",
        metadata=about(
            "",
            "Who may connect to bound `ipc://` sockets: the daemon's user; `0660` adds its group.",
            FileMode(),
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


@dataclass(frozen=True, slots=True)
class PermissionSettings:
    """One entry of ``[[permissions]]``: who may do what. The first that matches wins."""

    match: str = field(
        metadata=about(
            "",
            "Which topics or procedures; `{user}` and `{group}` stand for those of the session.",
            PermissionPattern(),
        ),
    )
    actions: tuple[str, ...] = field(
        metadata=about(
            "", "What the entry is about; nothing is granted by leaving it out.", ACTIONS
        ),
    )
    to: tuple[str, ...] = field(
        metadata=about(
            "", "Who the entry is for; a session needs to be only one of these.", RECEIVERS
        ),
    )
    allow: bool = field(
        default=True,
        metadata=about(
            "", "Entries mostly grant; `false` makes an exception to a later one.", Flag()
        ),
    )
    max_bytes: int = field(
        default=0,
        metadata=about(
            "bytes",
            "The longest event, or message of a call. 0: only `websocket.max_message_bytes` holds.",
            WholeNumber(0, GIB),
        ),
    )
    per_second: float = field(
        default=0.0,
        metadata=about(
            "1/s",
            "How often in one session, as many at once as in one second. 0: no limit.",
            Number(0, 1_000_000),
        ),
    )

    def hides(self, later: PermissionSettings) -> bool:
        """Tell whether an entry further down can never decide, because this one always does."""
        return (
            set(later.actions) <= set(self.actions)
            and self._is_for_all_of(later)
            and self._covers_all_of(later)
        )

    def _is_for_all_of(self, later: PermissionSettings) -> bool:
        if "anyone" in self.to:
            return True
        users = "authenticated" in self.to
        return all(each in self.to or (users and each.startswith("user:")) for each in later.to)

    def _covers_all_of(self, later: PermissionSettings) -> bool:
        if "{" in self.match:
            return self.match == later.match
        return covers_all_of(self.match, later.match)
