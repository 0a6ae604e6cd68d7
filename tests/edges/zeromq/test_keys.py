"""CURVE keys in files: both formats, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq
import zmq.auth

from tests.edges.zeromq.key_files import Keys
from wampush.edges.zeromq import keys as module
from wampush.edges.zeromq.keys import (
    check_key_pair,
    public_key_of,
    read_public_keys,
    read_secret_key,
)
from wampush.errors import OperatorError


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


def test_both_formats_of_key_files(keys: Keys, tmp_path: Path) -> None:
    public, secret = zmq.auth.load_certificate(keys.backend_secret)
    assert secret is not None
    assert read_secret_key("it", keys.backend_secret) == secret
    assert read_public_keys("it", keys.backend) == {public}
    assert read_public_keys("it", keys.backend_secret) == {public}
    assert read_public_keys("it", str(keys.known)) == {public}
    other = zmq.curve_keypair()[0]
    plain = tmp_path / "plain"
    text = f"# those of the shop\n\n{public.decode()} shop\n  {other.decode()}\n"
    plain.write_text(text, encoding="utf-8")
    assert read_public_keys("it", str(plain)) == {public, other}
    plain.write_bytes(secret + b"\n")
    assert read_secret_key("it", str(plain)) == secret
    assert public_key_of(secret) == public


def test_unusable_key_files_are_named_without_what_they_hold(keys: Keys, tmp_path: Path) -> None:
    # A key that begins with "#" or like "word =" would be taken for a comment or a value once cut.
    secret = "9" * 20 + "Z" * 20
    empty, twice, short, binary = (tmp_path / name for name in ("empty", "twice", "short", "bin"))
    empty.write_text("# none\n")
    twice.write_text(f"{secret}\n{secret}\n")
    short.write_text(f"{secret[:-1]}\n")
    binary.write_bytes(b"\xff\xfe")
    folder = tmp_path / "folder"
    folder.mkdir()
    missing = str(tmp_path / "missing")
    attempts = [
        (read_secret_key, missing, "cannot be read: No such file"),
        (read_secret_key, str(empty), "holds 0 secret keys"),
        (read_secret_key, str(twice), "holds 2 secret keys"),
        (read_secret_key, str(short), "line 1: expected a key of 40 characters"),
        (read_secret_key, str(binary), "is not a text file"),
        (read_secret_key, keys.server, "holds 0 secret keys"),
        (read_public_keys, missing, "cannot be read: No such file"),
        (read_public_keys, str(folder), "holds no public key"),
        (read_public_keys, str(empty), "holds no public key"),
    ]
    for read, path, said in attempts:
        with pytest.raises(OperatorError) as caught:
            read("zmq.x", path)
        assert said in str(caught.value)
        assert f"zmq.x {path!r}" in str(caught.value)
        assert secret[:10] not in str(caught.value)


def test_a_key_that_libzmq_rejects_is_not_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(zmq.curve_keypair()[1])

    def reject(_: bytes) -> bytes:
        raise ValueError

    monkeypatch.setattr(module, "public_key_of", reject)
    with pytest.raises(OperatorError, match="holds no usable key"):
        read_secret_key("zmq.x", str(path))


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(OperatorError, match="cannot be read: Permission denied"):
        read_public_keys("zmq.x", str(tmp_path))


@pytest.mark.parametrize(
    ("secret", "clients", "unset"),
    [("file", "", "zmq.curve_client_keys"), ("", "file", "zmq.curve_secret_key_file")],
)
def test_one_setting_without_the_other_is_named(secret: str, clients: str, unset: str) -> None:
    with pytest.raises(OperatorError, match=f"^{unset} is not set, but .*; set both, or neither"):
        check_key_pair(secret, clients)


def test_both_settings_or_neither_are_right() -> None:
    check_key_pair("", "")
    check_key_pair("file", "file")
