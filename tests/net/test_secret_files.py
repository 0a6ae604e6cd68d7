"""Files with secrets: what is wrong with one is said without its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from wampush.errors import OperatorError
from wampush.net import secret_files

KEY = "cra.keys_file"


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0 content\n")
    assert secret_files.read(str(path), KEY) == b"\0 content\n"


def test_a_file_may_have_a_mebibyte_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2**20)
    assert len(secret_files.read(str(path), KEY)) == 2**20
    path.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(OperatorError, match=rf"^{KEY} .* is larger than 1048576 bytes$"):
        secret_files.read(str(path), KEY)


def test_a_missing_file_with_a_relative_path_is_named_with_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OperatorError) as caught:
        secret_files.read("missing", KEY)
    assert str(caught.value) == (
        f"{KEY} 'missing' cannot be read: No such file or directory; "
        f"name an existing file; relative to '{tmp_path}'"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied; the user of the daemon"),
        (IsADirectoryError(21, "Is a directory"), "Is a directory; name a file in that folder"),
        (OSError(5, "Input/output error"), "Input/output error; name a readable file"),
        (ValueError("embedded null byte"), "not a valid path; name a readable file"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OperatorError) as caught:
        secret_files.read("/x", KEY)
    assert str(caught.value).startswith(f"{KEY} '/x' cannot be read: {words}")
    assert "relative to" not in str(caught.value)


def test_the_token_of_the_http_port(tmp_path: Path) -> None:
    assert secret_files.http_token("") is None
    path = tmp_path / "token"
    path.write_text("  0123456789abcdef\n")
    assert secret_files.http_token(str(path)) == b"0123456789abcdef"
    path.write_text("secret\n")
    with pytest.raises(OperatorError, match=r"http\.token_file .* holds 6 bytes; a token needs at"):
        secret_files.http_token(str(path))


def test_the_secret_of_webhooks(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s" * 32)
    assert secret_files.webhook_secret(str(path)) == b"s" * 32
    path.write_text("s" * 31)
    with pytest.raises(OperatorError) as caught:
        secret_files.webhook_secret(str(path))
    assert "webhooks.secret_file" in str(caught.value)
    assert "holds 31 bytes; a secret needs at least 32" in str(caught.value)
    assert "sss" not in str(caught.value)


def test_a_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" correct horse\n")
    assert secret_files.password(str(path), "redis_source[1].password_file") == b"correct horse"
    path.write_text(" \n")
    with pytest.raises(OperatorError, match="holds no password"):
        secret_files.password(str(path), "redis_source[1].password_file")
