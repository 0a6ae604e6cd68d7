"""Client endpoints for Redis servers, with or without TLS.

Owns: the endpoint of a source, the certificates that it trusts and presents.
Must not import: the broker; the other edges.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import OperatorError
from wampush.net import pem_files
from wampush.server_verification import ServerVerification

#: Seconds for the TCP connection, including name resolution.
CONNECT_SECONDS: Final = 10


def client_endpoint(entry: RedisSourceSettings, place: str, reactor: Any) -> Any:
    """Return the endpoint to connect to (``IStreamClientEndpoint``).

    :param entry: the settings of the source.
    :param place: the entry's name in the configuration, for errors.
    :param reactor: makes the connection.
    :raises OperatorError: a file cannot be used.
    """
    url = entry.url
    plain: Any = HostnameEndpoint(reactor, url.host, url.port, timeout=CONNECT_SECONDS)
    if not url.tls:
        return plain
    options: Any = client_tls_options(entry, place)
    return wrapClientTLS(options, plain)


def client_tls_options(entry: RedisSourceSettings, place: str) -> ServerVerification:
    """Return TLS options that verify the server's certificate and its host name.

    :param entry: the settings of the source.
    :param place: the entry's name in the configuration, for errors.
    :raises OperatorError: a file cannot be used.
    """
    authorities = None
    if entry.ca:
        found = pem_files.certificates(f"{place}.ca", entry.ca)
        authorities = [crypto.X509.from_cryptography(each) for each in found]
    own = _own_certificate(entry, place) if entry.certificate else {}
    try:
        return ServerVerification(entry.url.host, authorities, own)
    except ValueError as error:
        host = entry.url.host
        raise OperatorError(
            f"{place}.url: no certificate can be issued for the host {host!r}"
        ) from error


def _own_certificate(entry: RedisSourceSettings, place: str) -> dict[str, Any]:
    """Return the arguments for Twisted's certificate options to present our certificate."""
    # Twisted creates its context for the first connection, which is too late for an error.
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    (leaf, *chain), key = pem_files.use_pair(context, place, entry.certificate, entry.key)
    return {"certificate": leaf, "privateKey": key, "extraCertChain": chain}
