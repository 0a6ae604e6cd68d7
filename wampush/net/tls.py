"""TLS for listeners: the current key and certificate, and reloading them without a restart.

Owns: OpenSSL contexts made from ``[tls]``, which endpoints use them, ports whose connections do.
Must not import: the broker, the edges, the composition root.

Every new connection asks :class:`ServerContext` for the current context. So new files apply to new
connections, and connections that exist keep the old context. Sessions are resumed with tickets
(RFC 8446 section 4.6.1, RFC 5077); the server keeps nothing for them, and a new context has new
ticket keys.
"""

from __future__ import annotations

import re
from typing import Any, Final

from OpenSSL import SSL
from twisted.logger import Logger

from wampush.config.tables.network import TlsSettings
from wampush.errors import OperatorError
from wampush.net import pem_files
from wampush.net.accepting.tls_sockets import secure
from wampush.net.tls_handshakes import FailedHandshakes

_log = Logger(namespace="wampush.net")

_WITHOUT_KEY: Final = re.compile(r"ssl:[^:=]+(:(interface|backlog)=(\\.|[^:\\])*)*")
_MINIMUM: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_VERIFY: Final = {
    "off": SSL.VERIFY_NONE,
    "optional": SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE,
    "required": SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}
#: Renegotiation would let a client cause work at no cost to itself; RFC 8446 forbids it anyway.
_OPTIONS: Final = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
#: OpenSSL resumes sessions with a client certificate only when the context has an id.
_SESSION_ID_CONTEXT: Final = b"wampush"


def is_tls(endpoint: str) -> bool:
    """Return whether clients use TLS on an endpoint."""
    return endpoint.startswith("ssl:")


def uses_tls_table(endpoint: str) -> bool:
    """Return whether an endpoint takes its key from ``[tls]``: ``ssl:`` without its own key."""
    return _WITHOUT_KEY.fullmatch(endpoint) is not None


def carrier_endpoint(endpoint: str) -> str:
    """Return the TCP endpoint beneath an endpoint for which :func:`uses_tls_table` is true."""
    return f"tcp:{endpoint.removeprefix('ssl:')}"


def make_context(settings: TlsSettings) -> SSL.Context:
    """Return an OpenSSL context with the current content of the files.

    :param settings: the ``[tls]`` table.
    :raises OperatorError: a file cannot be used, or two of them do not belong together. No message
        repeats the content of a file.
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
    # Otherwise each idle connection would keep about 34 KiB of buffers.
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
            f"tls.ciphers {settings.ciphers!r} selects no cipher of OpenSSL for TLS 1.2; "
            "run openssl ciphers to see what a list selects"
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
            f"tls.client_ca {settings.client_ca!r} holds a certificate that OpenSSL rejects"
        ) from error
    context.set_verify(_VERIFY[wanted])


class ServerContext:
    """The current context, which new connections use.

    :param settings: the ``[tls]`` table.
    :param failed: counts the handshakes that fail.
    :raises OperatorError: a file cannot be used.
    """

    def __init__(self, settings: TlsSettings, failed: FailedHandshakes) -> None:
        self._settings = settings
        self._context = make_context(settings)
        self._failed = failed

    def current(self) -> SSL.Context:
        """Return the context for a new connection."""
        return self._context

    def on_failed(self, peer: object, error: SSL.Error) -> None:
        """Count a handshake that has failed."""
        self._failed.add(peer, error)

    def reload(self) -> bool:
        """Read the files again, for new connections; an unusable file changes nothing.

        :returns: whether the new files are in use.
        """
        try:
            self._context = make_context(self._settings)
        except OperatorError as error:
            _log.error(
                "TLS: could not reload the certificate, keeping the old one: {error}", error=error
            )
            return False
        _log.info(
            "TLS: certificate reloaded from {path}; new connections use it",
            path=self._settings.certificate,
        )
        return True


class _EndpointContext:
    """The context of an endpoint that names its key."""

    def __init__(self, context: SSL.Context, failed: FailedHandshakes) -> None:
        self._context = context
        self._failed = failed

    def current(self) -> SSL.Context:
        """Return the context for a new connection."""
        return self._context

    def on_failed(self, peer: object, error: SSL.Error) -> None:
        """Count a handshake that has failed."""
        self._failed.add(peer, error)


class TlsReactor:
    """A reactor whose ports make TLS connections.

    :param reactor: does everything else (``IReactorTCP``).
    :param contexts: for ports that do not have a key of their own.
    """

    def __init__(self, reactor: Any, contexts: ServerContext) -> None:
        self._reactor = reactor
        self._contexts = contexts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen for TLS connections (``IReactorTCP``)."""
        listening = self._reactor.listenTCP(port, factory, backlog, interface)
        secure(listening, self._contexts)
        return listening


class KeyedReactor:
    """A reactor whose ports for TLS make connections like those with ``[tls]``.

    Twisted's ``ssl:`` endpoints, which name a key of their own, use it.

    :param reactor: does everything else (``IReactorTCP``).
    :param failed: counts the handshakes that fail.
    """

    def __init__(self, reactor: Any, failed: FailedHandshakes) -> None:
        self._reactor = reactor
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> Any:
        """Listen for TLS connections (``IReactorSSL``)."""
        listening = self._reactor.listenTCP(port, factory, backlog, interface)
        secure(listening, _EndpointContext(contextFactory.getContext(), self._failed))
        return listening
