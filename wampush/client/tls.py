"""TLS of the WAMP v1 client: which certificates of servers it trusts.

Owns: trusted certificates from a file.
Must not import: anything of wampush but ``errors`` and ``server_verification``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from OpenSSL import crypto

from wampush.errors import OperatorError
from wampush.server_verification import ServerVerification

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL
)


def server_verification(hostname: str, ca_file: str | None) -> ServerVerification:
    """Return TLS options that verify the server's certificate and its name.

    :param hostname: host name or IP address that the certificate must be for.
    :param ca_file: a PEM file; its certificates are trusted instead of those of the system.
    :raises OperatorError: the file cannot be used.
    :raises ValueError: no certificate can be issued for the host.
    """
    return ServerVerification(hostname, None if ca_file is None else _authorities(ca_file))


def _authorities(ca_file: str) -> list[crypto.X509]:
    try:
        pem = Path(ca_file).read_bytes()
        authorities = [
            crypto.load_certificate(crypto.FILETYPE_PEM, each) for each in _CERTIFICATE.findall(pem)
        ]
    except OSError as error:
        raise OperatorError(f"cannot read the certificates in {ca_file}: {error}") from error
    except crypto.Error as error:
        raise OperatorError(f"a certificate in {ca_file} is not valid") from error
    if not authorities:
        raise OperatorError(f"{ca_file} contains no certificate; it must be a PEM file")
    return authorities
