"""``wampush token``: the server accepts what it prints."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from wampush.cli import main
from wampush.config.load import load
from wampush.edges.auth.tokens import Tokens

SECRET = "0123456789abcdef0123456789abcdef"


def configured(folder: Path, key: bytes | str, *lines: str) -> Path:
    """A configuration that checks tokens with that key."""
    key_file = folder / "key"
    key_file.write_bytes(key if isinstance(key, bytes) else key.encode())
    path = folder / "wampush.toml"
    text = ['[auth]\norder = ["token"]', "[token]", f'key_file = "{key_file}"', *lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def printed(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["token", *map(str, arguments)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return out.strip()


def test_the_server_accepts_it(tmp_path, capfd):
    path = configured(tmp_path, SECRET, 'audience = "push"', 'issuer = "web"')
    token = printed(
        capfd,
        *("--config", path, "--user", 7, "--group", "staff", "--group", "admin"),
        *("--ttl", 60, "--language", "de", "--claim", 'theme="dark"', "--claim", "n=[1]"),
    )
    identity = Tokens(load(path, {}, {}).settings.token).identify(token)
    assert identity.user == "7"
    assert identity.groups == {"staff", "admin"}
    assert identity.language == "de"
    assert identity.data == {"theme": "dark", "n": [1]}
    assert identity.expires is not None
    assert time.time() < identity.expires <= time.time() + 60 + 30


def test_without_a_user_the_client_is_not_logged_in(tmp_path, capfd):
    path = configured(tmp_path, SECRET)
    token = printed(capfd, "--key-file", tmp_path / "key")
    assert Tokens(load(path, {}, {}).settings.token).identify(token).user is None


def test_a_private_key_signs_for_the_public_one(tmp_path, capfd):
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = configured(tmp_path, public, 'algorithm = "ES256"')
    private = tmp_path / "private.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    token = printed(capfd, "--config", path, "--key-file", private, "--user", 7, "--kid", "a")
    assert Tokens(load(path, {}, {}).settings.token).identify(token).user == "7"
    assert main(["token", "--config", str(path)]) == 1
    assert "no key to sign with" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--algorithm", "RS256"]])
def test_without_a_key_it_says_how_to_pass_one(capfd, arguments):
    assert main(["token", *arguments]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("wampush: no key to sign with; pass it with --key-file")


def test_a_key_that_does_not_fit_is_not_shown(tmp_path, capfd):
    (tmp_path / "key").write_text("short-secret", encoding="utf-8")
    assert main(["token", "--key-file", str(tmp_path / "key")]) == 1
    err = capfd.readouterr().err
    assert "contains 12 bytes" in err
    assert "short-secret" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ttl", "0"],
        ["--ttl", "1.5"],
        ["--ttl", "9" * 40],
        ["--ttl", "²"],
        ["--claim", "a"],
        ["--claim", "a=b"],
        ["--claim", "=1"],
        ["--algorithm", "none"],
    ],
)
def test_wrong_arguments(capfd, arguments):
    with pytest.raises(SystemExit) as ended:
        main(["token", *arguments])
    assert ended.value.code == 2
    assert "--help" in capfd.readouterr().err


def test_help_has_examples(capfd):
    with pytest.raises(SystemExit):
        main(["token", "--help"])
    assert "  wampush token --user 7" in capfd.readouterr().out
