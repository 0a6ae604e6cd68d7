"""Certificates and private keys in PEM files.

Owns: how such a file is read, and what is wrong with one. No error repeats anything of a file.
Must not import: Twisted, the broker; of the edges only ``secret_files``.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from wampush.errors import OperatorError
from wampush.net import secret_files


def certificates(setting: str, path: str) -> list[x509.Certificate]:
    """The certificates of a file, at least one.

    :param setting: the key that names the file, for errors.
    :raises OperatorError: when the file can not be read or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(secret_files.read(path, setting))
    except ValueError as error:
        raise OperatorError(
            f"{setting} {path!r} holds no certificate that can be read; it must be PEM, "
            "as between BEGIN CERTIFICATE and END CERTIFICATE"
        ) from error


def private_key(setting: str, path: str) -> Any:
    """The private key of a file.

    :param setting: the key that names the file, for errors.
    :raises OperatorError: when the file can not be read or holds none.
    """
    # Errors of the parsers are not repeated: what they say must not come from a secret.
    try:
        return load_pem_private_key(secret_files.read(path, setting), None)
    except TypeError:
        raise OperatorError(
            f"{setting} {path!r} is protected by a passphrase, and nobody is there to type it; "
            "store the key without one, readable by the daemon alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise OperatorError(
            f"{setting} {path!r} holds no private key that can be read; it must be PEM, "
            "as after BEGIN PRIVATE KEY"
        ) from None


def use_pair(
    context: SSL.Context, table: str, certificate: str, key: str
) -> tuple[list[x509.Certificate], Any]:
    """Have a context show the first certificate of a file.

    :param table: of the settings ``certificate`` and ``key`` that name the files, for errors.
    :returns: all certificates of the file, and the key.
    :raises OperatorError: when the files can not be used, or do not belong together.
    """
    found = certificates(f"{table}.certificate", certificate)
    secret = private_key(f"{table}.key", key)
    if found[0].public_key() != secret.public_key():
        raise OperatorError(
            f"{table}.key {key!r} does not belong to the first certificate of "
            f"{table}.certificate {certificate!r}"
        )
    try:
        context.use_certificate(found[0])
        context.use_privatekey(secret)
    except (SSL.Error, TypeError, ValueError) as error:
        raise OperatorError(
            f"OpenSSL does not accept {table}.certificate {certificate!r} with {table}.key "
            f"{key!r}: too weak, or of a kind that TLS does not use"
        ) from error
    return found, secret
