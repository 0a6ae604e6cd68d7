"""Which certificates of servers a client trusts."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.python.failure import Failure

from tests.support.certificates import OWN_NAMES, Certificate, make_certificate
from wampush.client.tls import server_verification
from wampush.errors import OperatorError


class TlsProtocol:
    """Twisted's side of a connection, which learns why a certificate is not trusted."""

    def __init__(self) -> None:
        self.problem: BaseException | None = None
        self.factory = SimpleNamespace(wrappedFactory=None)
        # As Twisted spells it.
        self.failVerification = self._fail

    def _fail(self, reason: Failure) -> None:
        self.problem = reason.value


def handshake(certificate: Certificate, client: SSL.Connection) -> None:
    """Run the handshake of a client with a server that has a certificate."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_file(str(certificate.certificate))
    context.use_privatekey_file(str(certificate.key))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    client.set_connect_state()
    sides = [client, server]
    for _ in range(4):
        here, there = sides
        with contextlib.suppress(SSL.WantReadError):
            here.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            there.bio_write(here.bio_read(65_536))
        sides.reverse()
    client.do_handshake()


def problem(certificate: Certificate, host: str, ca_file: str | None) -> BaseException | None:
    """Connect to a host; return why it failed, or None if it did not."""
    protocol = TlsProtocol()
    connection = server_verification(host, ca_file).clientConnectionForTLS(protocol)
    try:
        handshake(certificate, connection)
    except SSL.Error as error:
        return protocol.problem or error
    assert protocol.problem is None
    return None


def test_a_certificate_of_the_file_is_trusted(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other")
    certificate = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(other.certificate.read_bytes() + certificate.certificate.read_bytes())
    for host in ("localhost", "127.0.0.1"):
        assert problem(certificate, host, str(certificate.certificate)) is None
        assert problem(certificate, host, str(both)) is None
        assert isinstance(problem(certificate, host, str(other.certificate)), SSL.Error)
        assert isinstance(problem(certificate, host, None), SSL.Error)


@pytest.mark.parametrize(
    ("names", "host", "error"),
    [
        (OWN_NAMES, "example.org", VerificationError),
        (OWN_NAMES, "127.0.0.2", VerificationError),
        ((x509.DNSName("*.example.org"),), "push.example.org", type(None)),
        ((x509.DNSName("xn--bcher-kva.example"),), "b\u00fccher.example", type(None)),
        ((), "localhost", CertificateError),
        ((), "127.0.0.1", CertificateError),
    ],
)
def test_a_certificate_must_be_for_the_host(
    tmp_path: Path, names: tuple[x509.GeneralName, ...], host: str, error: type[object]
) -> None:
    certificate = make_certificate(tmp_path, names=names)
    assert type(problem(certificate, host, str(certificate.certificate))) is error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read the certificates in "),
        ("", "contains no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", "a certificate in "),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OperatorError, match=words):
        server_verification("localhost", str(path))
