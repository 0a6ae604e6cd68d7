"""Verification of TLS servers by the programs that connect to them.

Owns: the TLS options of outgoing connections, and the check that a certificate is for the server's
name.
Must not import: anything of wampush; the WAMP v1 client, which stands on the protocol alone, and
``net`` share this module.

Twisted checks the name, too, but accepts a certificate without any name: it logs the exception that
service_identity raises for it, and leaves the result as it was. RFC 9525 section 2 no longer lets
the commonName of a certificate stand in for its subjectAltName.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@implementer(IOpenSSLClientConnectionCreator)
class ServerVerification:
    """Makes TLS connections that end when the server's certificate is not trusted.

    :param hostname: host name or IP address that the certificate must be for.
    :param authorities: certificates that are trusted instead of those of the system; None for
        those of the system.
    :param own: arguments for Twisted's certificate options, to present a certificate to the server.
    :raises ValueError: no certificate can be issued for the host.
    """

    def __init__(
        self,
        hostname: str,
        authorities: Sequence[crypto.X509] | None = None,
        own: Mapping[str, Any] = _NOTHING,
    ) -> None:
        trusted: Any = None
        if authorities is not None:
            trusted = trustRootFromCertificates([Certificate(each) for each in authorities])
        self._options: Any = optionsForClientTLS(
            hostname, trusted, extraCertificateOptions=dict(own)
        )
        is_address = isIPAddress(hostname) or isIPv6Address(hostname)
        # The form that a certificate has of a name with other characters than ASCII's.
        name = hostname if is_address else hostname.encode("idna").decode("ascii")
        self._name: ServiceID = IPAddress_ID(name) if is_address else DNS_ID(name)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return a connection; Twisted calls this for each attempt."""
        connection: SSL.Connection = self._options.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify_for(tlsProtocol)
        )
        return connection

    def _verify_for(
        self, tls_protocol: Any
    ) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
        def verify(
            _connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, ok: int
        ) -> bool:
            if depth or not ok:
                return bool(ok)
            try:
                verify_service_identity(extract_patterns(certificate), [self._name], [])
            # ValueError: the certificate's extensions cannot be read.
            except (CertificateError, VerificationError, ValueError):
                tls_protocol.failVerification(Failure())
                return False
            return True

        return verify
