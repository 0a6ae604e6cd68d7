"""Certificates and private keys in PEM files."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL

from tests.support.certificates import make_certificate
from wampush.errors import OperatorError
from wampush.net import pem_files


def test_all_certificates_of_a_file_are_read(tmp_path: Path) -> None:
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    path = tmp_path / "chain.pem"
    path.write_bytes(first.certificate.read_bytes() + second.certificate.read_bytes())
    assert len(pem_files.certificates("tls.chain", str(path))) == 2


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    with pytest.raises(OperatorError, match=r"^tls\.chain .* holds no readable certificate"):
        pem_files.certificates("tls.chain", str(made.key))


def test_a_private_key_is_read(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    (certificate,) = pem_files.certificates("x", str(made.certificate))
    key = pem_files.private_key("tls.key", str(made.key))
    assert key.public_key() == certificate.public_key()


def test_a_key_with_a_passphrase_is_not_usable(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, passphrase=b"opensesame")
    with pytest.raises(OperatorError, match="protected by a passphrase") as caught:
        pem_files.private_key("tls.key", str(made.key))
    assert "opensesame" not in str(caught.value)


def test_a_file_without_a_key_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(OperatorError, match="holds no readable private key") as caught:
        pem_files.private_key("tls.key", str(path))
    assert "c2VjcmV0" not in str(caught.value)


def test_a_key_of_an_unknown_algorithm_is_not_readable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reject(*_: object) -> None:
        raise UnsupportedAlgorithm("secret")

    monkeypatch.setattr(pem_files, "load_pem_private_key", reject)
    made = make_certificate(tmp_path)
    with pytest.raises(OperatorError, match="holds no readable private key"):
        pem_files.private_key("tls.key", str(made.key))


def test_a_pair_is_used_with_its_chain(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    context = SSL.Context(SSL.TLS_METHOD)
    files = str(made.certificate), str(made.key)
    (certificate,), key = pem_files.use_pair(context, "tls", *files)
    assert key.public_key() == certificate.public_key()
    context.check_privatekey()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path, "own"), make_certificate(tmp_path, "other")
    context = SSL.Context(SSL.TLS_METHOD)
    with pytest.raises(OperatorError, match="does not belong to the first certificate"):
        pem_files.use_pair(context, "tls", str(own.certificate), str(other.key))


def test_a_pair_that_openssl_rejects_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = make_certificate(tmp_path)
    context = SSL.Context(SSL.TLS_METHOD)

    def reject(_: object) -> None:
        raise SSL.Error([("SSL routines", "", "ee key too small")])

    monkeypatch.setattr(context, "use_privatekey", reject)
    with pytest.raises(OperatorError, match=r"OpenSSL does not accept tls\.certificate"):
        pem_files.use_pair(context, "tls", str(made.certificate), str(made.key))
