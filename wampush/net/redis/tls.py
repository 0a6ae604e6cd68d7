"""Client endpoints for Redis servers, with or without TLS.

Owns: the endpoint of a server, the certificates that it trusts and presents.
Must not import: the broker, the edges.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from wampush.config.checks.redis import RedisUrl
from wampush.config.checks.redis_access import RedisAccess
from wampush.errors import OperatorError
from wampush.net import pem_files
from wampush.server_verification import ServerVerification

#: Seconds for the TCP connection, including name resolution.
CONNECT_SECONDS: Final = 10


def client_endpoint(access: RedisAccess, url: RedisUrl, place: str, reactor: Any) -> Any:
    """Return the endpoint to connect to (``IStreamClientEndpoint``).

    :param access: the settings of the server.
    :param url: its address; another one than that of ``access`` where sentinels name it.
    :param place: the name of the settings in the configuration, for errors.
    :param reactor: makes the connection.
    :raises OperatorError: a file cannot be used.
    """
    plain: Any = HostnameEndpoint(reactor, url.host, url.port, timeout=CONNECT_SECONDS)
    if not url.tls:
        return plain
    options: Any = client_tls_options(access, url.host, place)
    return wrapClientTLS(options, plain)


def client_tls_options(access: RedisAccess, host: str, place: str) -> ServerVerification:
    """Return TLS options that verify the server's certificate and its host name.

    :param access: the settings of the server.
    :param host: name or address of the server.
    :param place: the name of the settings in the configuration, for errors.
    :raises OperatorError: a file cannot be used.
    """
    authorities = None
    if access.ca:
        found = pem_files.certificates(f"{place}.ca", access.ca)
        authorities = [crypto.X509.from_cryptography(each) for each in found]
    own = _own_certificate(access, place) if access.certificate else {}
    try:
        return ServerVerification(host, authorities, own)
    except ValueError as error:
        raise OperatorError(
            f"{place}.url: no certificate can be issued for the host {host!r}"
        ) from error


def _own_certificate(access: RedisAccess, place: str) -> dict[str, Any]:
    """Return the arguments for Twisted's certificate options to present our certificate."""
    # Twisted creates its context for the first connection, which is too late for an error.
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    (leaf, *chain), key = pem_files.use_pair(context, place, access.certificate, access.key)
    return {"certificate": leaf, "privateKey": key, "extraCertChain": chain}
