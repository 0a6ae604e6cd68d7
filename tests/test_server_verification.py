"""Outgoing TLS connections end unless the certificate of the server is trusted and for its name."""
# ruff: noqa: N802 - Twisted calls the methods of protocols by these names.

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.support.certificates import OWN_NAMES, make_certificate
from tests.support.tls_server import outcome_of, problem_in, reactor, tls_server
from wampush.server_verification import ServerVerification

ANSWER = b"welcome"


class _Client(Protocol):
    """A client that says something, keeps the answer, and notes how the connection ended."""

    def __init__(self, ended: Deferred[Any]) -> None:
        self._ended = ended
        self._data = b""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"secret")

    def dataReceived(self, data: bytes) -> None:
        self._data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ConnectionDone):
            self._ended.callback(self._data)
        else:
            self._ended.errback(reason)


def connect(port: int, verification: ServerVerification, ended: Deferred[Any]) -> None:
    options: Any = verification
    plain: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    secure: Any = wrapClientTLS(options, plain)
    secure.connect(Factory.forProtocol(lambda: _Client(ended)))


def problem(
    folder: Path, host: str, names: Sequence[x509.GeneralName], common_name: str = "server"
) -> type[BaseException] | None:
    """Connect to a server that has a certificate; return what was wrong, or None."""
    certificate = make_certificate(folder, common_name, names=names)
    authority = crypto.load_certificate(crypto.FILETYPE_PEM, certificate.certificate.read_bytes())
    verification = ServerVerification(host, [authority])
    ended: Deferred[Any] = Deferred()
    with tls_server(certificate, ANSWER) as port:
        connect(port, verification, ended)
        outcome = outcome_of(ended)
    found = problem_in(outcome)
    if found is None:
        assert outcome == ANSWER
        return None
    return type(found)


def address(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("host", "names", "expected"),
    [
        ("localhost", OWN_NAMES, None),
        ("127.0.0.1", OWN_NAMES, None),
        ("::1", (address("::1"),), None),
        ("push.example.org", (x509.DNSName("*.example.org"),), None),
        ("b\u00fccher.example", (x509.DNSName("xn--bcher-kva.example"),), None),
        ("example.org", OWN_NAMES, VerificationError),
        ("127.0.0.2", OWN_NAMES, VerificationError),
        ("a.b.example.org", (x509.DNSName("*.example.org"),), VerificationError),
        # A name that looks like the address is not the address.
        ("127.0.0.1", (x509.UniformResourceIdentifier("https://127.0.0.1"),), VerificationError),
        ("localhost", (), CertificateError),
        ("127.0.0.1", (), CertificateError),
        ("localhost", (x509.RFC822Name("root@localhost"),), CertificateError),
    ],
)
def test_a_certificate_must_be_for_the_host(
    tmp_path: Path,
    host: str,
    names: Sequence[x509.GeneralName],
    expected: type[BaseException] | None,
) -> None:
    assert problem(tmp_path, host, names) is expected


def test_a_common_name_is_not_a_name_of_the_server(tmp_path: Path) -> None:
    assert problem(tmp_path, "localhost", (), common_name="localhost") is CertificateError


def test_names_that_cannot_be_read_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: object) -> object:
        raise ValueError("error parsing asn1 value")

    monkeypatch.setattr("wampush.server_verification.extract_patterns", unreadable)
    assert problem(tmp_path, "localhost", OWN_NAMES) is ValueError


def test_the_authorities_of_the_system_do_not_trust_it(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    verification = ServerVerification("localhost")
    ended: Deferred[Any] = Deferred()
    with tls_server(certificate, ANSWER) as port:
        connect(port, verification, ended)
        assert isinstance(problem_in(outcome_of(ended)), SSL.Error)


@pytest.mark.parametrize("host", ["a..b", "-a"])
def test_a_host_that_no_certificate_can_be_for(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ServerVerification(host)
