"""Certificates and private keys in PEM files.

Owns: reading such files, and the errors about them, which never repeat their content.
Must not import: Twisted, the broker, the edges.
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
    """Return the certificates in a file, at least one.

    :param setting: the setting that names the file, for errors.
    :param path: of the file.
    :raises OperatorError: the file cannot be read, or holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificates(secret_files.read(path, setting))
    except ValueError as error:
        raise OperatorError(
            f"{setting} {path!r} holds no readable certificate; it must be PEM, "
            "with BEGIN CERTIFICATE and END CERTIFICATE"
        ) from error


def private_key(setting: str, path: str) -> Any:
    """Return the private key in a file.

    :param setting: the setting that names the file, for errors.
    :param path: of the file.
    :raises OperatorError: the file cannot be read, or holds no private key.
    """
    # The parsers' own messages are left out, because they might quote a secret.
    try:
        return load_pem_private_key(secret_files.read(path, setting), None)
    except TypeError:
        raise OperatorError(
            f"{setting} {path!r} is protected by a passphrase, which a daemon cannot enter; "
            "store the key without one, readable by the daemon alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise OperatorError(
            f"{setting} {path!r} holds no readable private key; it must be PEM, "
            "with BEGIN PRIVATE KEY"
        ) from None


def use_pair(
    context: SSL.Context, table: str, certificate: str, key: str
) -> tuple[list[x509.Certificate], Any]:
    """Make a context present the first certificate in a file.

    :param context: the context.
    :param table: the table with the settings ``certificate`` and ``key``, for errors.
    :param certificate: path of the file with the certificate and its chain.
    :param key: path of the file with the private key.
    :returns: all certificates in the file, and the key.
    :raises OperatorError: the files cannot be used, or do not belong together.
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
            f"{key!r}: they are too weak, or of a type that TLS does not use"
        ) from error
    return found, secret
