"""TLS for listeners: the key and certificate in force, and taking new ones without a restart.

Owns: OpenSSL contexts made from ``[tls]``, which endpoints use them, Twisted's TLS factory.
Must not import: the broker, the composition root; of the edges only ``pem_files``.

Every new connection asks :class:`ServerContext` for the context in force, so new files hold for
new connections and the old context lives on in those that began with it. Sessions are resumed by
tickets (RFC 8446 section 4.6.1, RFC 5077); nothing is kept on the server for them, and a new
context begins with new ticket keys.
"""

from __future__ import annotations

import re
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from wampush.config.tables.network import TlsSettings
from wampush.errors import OperatorError
from wampush.net import pem_files

_log = Logger(namespace="wampush")

_OURS: Final = re.compile(r"ssl:[^:=]+(:(interface|backlog)=(\\.|[^:\\])*)*")
_MINIMUM: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_VERIFY: Final = {
    "off": SSL.VERIFY_NONE,
    "optional": SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE,
    "required": SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}
#: A client that may renegotiate can make the server work for nothing (RFC 8446 forbids it anyway).
_OPTIONS: Final = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
#: OpenSSL resumes no session with a client certificate unless a context says whose sessions it has.
_SESSION_ID_CONTEXT: Final = b"wampush"

#: What a TLS connection may send in a reactor turn. Twisted's 128 KiB is less than a turn of pushes
#: may have, so that a client that reads fast enough would fall behind all the same.
_SEND_LIMIT: Final = 1_048_576


def is_tls(endpoint: str) -> bool:
    """Whether clients speak TLS on an endpoint."""
    return endpoint.startswith("ssl:")


def uses_settings(endpoint: str) -> bool:
    """Whether an endpoint takes its key from ``[tls]``: ``ssl:`` without a key of its own."""
    return _OURS.fullmatch(endpoint) is not None


def below(endpoint: str) -> str:
    """The endpoint that carries the TLS of an endpoint for which :func:`uses_settings` holds."""
    return f"tcp:{endpoint.removeprefix('ssl:')}"


def make_context(settings: TlsSettings) -> SSL.Context:
    """An OpenSSL context with what the files hold now.

    :raises OperatorError: when a file can not be used, or two of them do not belong together. No
        message repeats anything of a file.
    """
    for name, path in (("certificate", settings.certificate), ("key", settings.key)):
        if not path:
            raise OperatorError(
                f"tls.{name} is not set; an ssl: listener needs the PEM files of "
                "tls.certificate and tls.key"
            )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_MINIMUM[settings.minimum_version])
    context.set_options(_OPTIONS)
    # Idle connections would each keep about 34 KiB of buffers that they use now and then only.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(_SESSION_ID_CONTEXT)
    (_, *chain), _ = pem_files.use_pair(context, "tls", settings.certificate, settings.key)
    if settings.chain:
        chain += pem_files.certificates("tls.chain", settings.chain)
    for each in chain:
        context.add_extra_chain_cert(each)
    _set_client_authorities(context, settings)
    try:
        context.set_cipher_list(settings.ciphers.encode())
    except (SSL.Error, UnicodeError) as error:
        raise OperatorError(
            f"tls.ciphers {settings.ciphers!r} selects nothing that OpenSSL has for TLS 1.2; "
            "openssl ciphers shows what a list selects"
        ) from error
    return context


def _set_client_authorities(context: SSL.Context, settings: TlsSettings) -> None:
    wanted = settings.client_certificate
    if (wanted == "off") != (not settings.client_ca):
        problem = "is not set" if wanted != "off" else f"is {settings.client_ca!r}"
        raise OperatorError(
            f'tls.client_certificate is "{wanted}" but tls.client_ca {problem}; '
            "set both, or neither"
        )
    if wanted == "off":
        return
    pem_files.certificates("tls.client_ca", settings.client_ca)
    try:
        context.load_verify_locations(settings.client_ca)
        context.load_client_ca(settings.client_ca.encode())
    except SSL.Error as error:
        raise OperatorError(
            f"tls.client_ca {settings.client_ca!r} holds a certificate that OpenSSL does not accept"
        ) from error
    context.set_verify(_VERIFY[wanted])


class TlsTransport(TLSMemoryBIOProtocol):
    """TLS on a TCP transport that sends what the system takes.

    Unlike the kind that Twisted uses by default it does not hold small writes back for a turn;
    outboxes write once a turn as it is.
    """

    def makeConnection(self, transport: Any) -> None:
        """The TCP connection is there."""
        transport.SEND_LIMIT = _SEND_LIMIT
        super().makeConnection(transport)  # type: ignore[no-untyped-call]


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """The context in force.

    :param settings: the ``[tls]`` table.
    :raises OperatorError: when a file can not be used.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._context = make_context(settings)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """The TLS state of a new connection (``IOpenSSLServerConnectionCreator``)."""
        return SSL.Connection(self._context, None)

    def reload(self) -> bool:
        """Read the files again, for new connections; a broken one leaves everything as it is.

        :returns: whether the new files are in force.
        """
        try:
            self._context = make_context(self._settings)
        except OperatorError as error:
            _log.error("TLS goes on with the key and certificate it has: {error}", error=error)
            return False
        _log.info("TLS: new connections get the certificate that the files hold now")
        return True

    def factory(self, wrapped: Any) -> TLSMemoryBIOFactory:
        """A factory whose connections speak TLS below those of another factory.

        :param wrapped: makes the protocols inside (``IProtocolFactory``).
        """
        creator: Any = self
        factory = TLSMemoryBIOFactory(creator, False, wrapped)
        factory.protocol = TlsTransport
        return factory
