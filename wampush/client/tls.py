"""TLS of the WAMP v1 client: which certificates of servers it trusts.

Owns: trusted certificates from a file, and the check of a server's name.
Must not import: anything of wampush but ``errors``.

Twisted checks the name, too, but accepts a certificate without any name: it logs the exception that
service_identity raises for it, and leaves the result as it was.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer

from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL
)


@implementer(IOpenSSLClientConnectionCreator)
class ServerVerification:
    """Makes TLS connections that end when the server's certificate is not trusted.

    :param hostname: host name or IP address that the certificate must be for.
    :param ca_file: a PEM file; its certificates are trusted instead of those of the system.
    :raises OperatorError: the file cannot be used.
    """

    def __init__(self, hostname: str, ca_file: str | None) -> None:
        trust_root = None if ca_file is None else _trust_root(ca_file)
        self._options: Any = optionsForClientTLS(hostname, trustRoot=trust_root)
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
            except (CertificateError, VerificationError):
                tls_protocol.failVerification(Failure())
                return False
            return True

        return verify


def _trust_root(ca_file: str) -> Any:
    try:
        pem = Path(ca_file).read_bytes()
        certificates = [Certificate.loadPEM(each) for each in _CERTIFICATE.findall(pem)]
    except OSError as error:
        raise OperatorError(f"cannot read the certificates in {ca_file}: {error}") from error
    except crypto.Error as error:
        raise OperatorError(f"a certificate in {ca_file} is not valid") from error
    if not certificates:
        raise OperatorError(f"{ca_file} contains no certificate; it must be a PEM file")
    return trustRootFromCertificates(certificates)
