"""How to reach a Redis: plainly, or through TLS.

Owns: the endpoint of a source, the certificates that it trusts and shows.
Must not import: the broker; of the edges only ``pem_files``.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import OperatorError
from wampush.net import pem_files

CONNECT_SECONDS: Final = 10


def endpoint(entry: RedisSourceSettings, place: str, reactor: Any) -> Any:
    """What to connect to (``IStreamClientEndpoint``).

    :param place: the entry's name in the configuration, for errors.
    :raises OperatorError: when a file can not be used.
    """
    url = entry.url
    plain: Any = HostnameEndpoint(reactor, url.host, url.port, timeout=CONNECT_SECONDS)
    return wrapClientTLS(options(entry, place), plain) if url.tls else plain


def options(entry: RedisSourceSettings, place: str) -> Any:
    """TLS in which the server's certificate must be for its host.

    :param place: the entry's name in the configuration, for errors.
    :raises OperatorError: when a file can not be used.
    """
    trusted: Any = None
    if entry.ca:
        authorities = pem_files.certificates(f"{place}.ca", entry.ca)
        trusted = trustRootFromCertificates(
            [Certificate(crypto.X509.from_cryptography(each)) for each in authorities]
        )
    own = _own_certificate(entry, place) if entry.certificate else {}
    try:
        return optionsForClientTLS(entry.url.host, trusted, extraCertificateOptions=own)
    except UnicodeError as error:
        host = entry.url.host
        raise OperatorError(f"{place}.url: no certificate can be for the host {host!r}") from error


def _own_certificate(entry: RedisSourceSettings, place: str) -> dict[str, Any]:
    """What Twisted's certificate options need to show a certificate of ours."""
    # Twisted makes its context with the first connection, which is too late for an error.
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    (leaf, *chain), key = pem_files.use_pair(context, place, entry.certificate, entry.key)
    return {"certificate": leaf, "privateKey": key, "extraCertChain": chain}
