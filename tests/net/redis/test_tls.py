"""Files that TLS to a Redis cannot use stop the start; errors name their keys."""
# ruff: noqa: N802 - Twisted calls the methods of protocols by these names.

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from tests.support.certificates import OWN_NAMES, Certificate, make_certificate
from tests.support.tls_server import host_names, outcome_of, reactor, tls_server
from wampush.config.checks.redis import RedisUrl
from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import OperatorError
from wampush.net.redis.error_descriptions import is_unreachable, problem_of_failure
from wampush.net.redis.tls import client_endpoint

PLACE = "redis_source[2]"


def endpoint(host: str = "redis.example.com", /, **files: Path) -> Any:
    names: dict[str, Any] = {name: str(path) for name, path in files.items()}
    entry = RedisSourceSettings(url=RedisUrl(host, tls=True), channels=("x",), **names)
    return client_endpoint(entry, entry.url, PLACE, MemoryReactorClock())


def unfit(folder: Path) -> Certificate:
    """A certificate with a key that can agree on secrets only, not sign."""
    authority = ec.generate_private_key(ec.SECP256R1())
    key = x25519.X25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unfit")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(authority, hashes.SHA256())
    )
    made = Certificate(folder / "unfit.pem", folder / "unfit-key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def test_files_that_can_be_used_are(tmp_path: Path) -> None:
    own = make_certificate(tmp_path)
    assert endpoint() is not None
    assert endpoint(ca=own.certificate, certificate=own.certificate, key=own.key) is not None


def test_a_chain_may_follow_the_certificate(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path, "own"), make_certificate(tmp_path, "other")
    with own.certificate.open("ab") as stream:
        stream.write(other.certificate.read_bytes())
    assert endpoint(certificate=own.certificate, key=own.key) is not None


def test_files_that_are_none(tmp_path: Path) -> None:
    own = make_certificate(tmp_path)
    missing = tmp_path / "missing"
    cases: list[tuple[dict[str, Path], str]] = [
        ({"ca": missing}, "ca .* cannot be read"),
        ({"ca": own.key}, "ca .* holds no readable certificate"),
        ({"certificate": own.key, "key": own.key}, "certificate .* holds no readable certificate"),
        (
            {"certificate": own.certificate, "key": own.certificate},
            "key .* holds no readable private",
        ),
    ]
    for files, words in cases:
        with pytest.raises(OperatorError, match=rf"^redis_source\[2\]\.{words}"):
            endpoint(**files)


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path, "own"), make_certificate(tmp_path, "other")
    with pytest.raises(OperatorError, match="does not belong to the first certificate"):
        endpoint(certificate=own.certificate, key=other.key)


def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    own = make_certificate(tmp_path, passphrase=b"correct-horse")
    with pytest.raises(OperatorError, match="protected by a passphrase"):
        endpoint(certificate=own.certificate, key=own.key)


def test_a_key_that_is_unfit_for_tls(tmp_path: Path) -> None:
    own = unfit(tmp_path)
    with pytest.raises(OperatorError, match="OpenSSL does not accept"):
        endpoint(certificate=own.certificate, key=own.key)


@pytest.mark.parametrize("host", ["a_b", "a..b", "-a"])
def test_a_host_that_no_certificate_can_be_for(host: str) -> None:
    with pytest.raises(OperatorError, match=r"url: no certificate can be issued for"):
        endpoint(host)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (OWN_NAMES, None),
        ((x509.DNSName("example.org"),), "the certificate of the server is for another name; "),
        ((), "the certificate of the server has no subjectAltName"),
    ],
)
def test_the_certificate_of_redis_must_be_for_its_host(
    tmp_path: Path, names: tuple[x509.GeneralName, ...], said: str | None
) -> None:
    certificate = make_certificate(tmp_path, "localhost", names=names)
    ended: Deferred[Any] = Deferred()

    class _Client(Protocol):
        def connectionMade(self) -> None:
            transport: Any = self.transport
            transport.write(b"PING\r\n")

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            ended.callback(reason)

    with host_names(), tls_server(certificate, b"+PONG\r\n") as port:
        entry = RedisSourceSettings(
            url=RedisUrl("localhost", port, tls=True),
            channels=("x",),
            ca=str(certificate.certificate),
        )
        client_endpoint(entry, entry.url, PLACE, reactor).connect(Factory.forProtocol(_Client))
        problem = problem_of_failure(outcome_of(ended))
    assert problem.startswith(said or "Redis closed the connection")
    assert is_unreachable(problem) is (said is None)
