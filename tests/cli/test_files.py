"""``wampush check`` opens the files that the configuration names, as the daemon would."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq.auth

from tests.support.certificates import Certificate, make_certificate
from wampush.cli import main
from wampush.cli.files import _readers, problems
from wampush.config.checks.files import FileKind
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.load import load
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, Settings
from wampush.config.tables.http import HttpSettings
from wampush.config.tables.network import TlsSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings

SECRET = "0123456789abcdef0123456789abcdef"
REDIS: Any = REDIS_ADDRESS.check("rediss://redis.example.org")


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def everything(folder: Path, certificate: Certificate) -> str:
    """A configuration that names a good file for every kind."""
    _, server = zmq.auth.create_certificates(folder, "curve")
    client, _ = zmq.auth.create_certificates(folder, "client")
    (folder / "token.key").write_text(SECRET, encoding="utf-8")
    (folder / "http.token").write_text(SECRET, encoding="utf-8")
    (folder / "redis").write_text(SECRET, encoding="utf-8")
    (folder / "hooks.key").write_text(SECRET, encoding="utf-8")
    (folder / "cra.toml").write_text(f'[keys.bob]\nsecret = "{SECRET}"\n', encoding="utf-8")
    own = f"ssl:8444:privateKey={certificate.key}:certKey={certificate.certificate}"
    return (
        f'[websocket]\nlisten = ["ssl:8443", "{own}"]\n'
        f'{certificate.table(f"""chain = "{certificate.certificate}" """)}'
        f'[zmq]\ncurve_secret_key_file = "{server}"\ncurve_client_keys = "{client}"\n'
        f'[auth]\norder = ["token", "cra"]\n[token]\nkey_file = "{folder}/token.key"\n'
        f'[cra]\nkeys_file = "{folder}/cra.toml"\n[http]\ntoken_file = "{folder}/http.token"\n'
        f'[webhooks]\nurl = "http://127.0.0.1/"\nevents = ["connect"]\n'
        f'secret_file = "{folder}/hooks.key"\n'
        f'[[redis_source]]\nurl = "rediss://redis.example.org"\nchannels = ["a"]\n'
        f'password_file = "{folder}/redis"\nca = "{certificate.certificate}"\n'
        f'certificate = "{certificate.certificate}"\nkey = "{certificate.key}"\n'
    )


def test_good_files_bring_no_line(
    tmp_path: Path, certificate: Certificate, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(everything(tmp_path, certificate), encoding="utf-8")
    assert main(["check", "--config", str(path)]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert SECRET not in printed.out


def test_each_bad_file_has_its_line_behind_the_settings(
    tmp_path: Path, certificate: Certificate, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(everything(tmp_path, certificate), encoding="utf-8")
    (tmp_path / "token.key").unlink()
    (tmp_path / "http.token").write_text("short", encoding="utf-8")
    (tmp_path / "cra.toml").write_text(f"{SECRET}\n", encoding="utf-8")
    (tmp_path / "redis").write_text("\n", encoding="utf-8")
    (tmp_path / "hooks.key").write_text("short", encoding="utf-8")
    certificate.key.write_text(SECRET, encoding="utf-8")
    assert main(["check", "--config", str(path)]) == 1
    printed = capfd.readouterr()
    assert f'token.key_file = "{tmp_path}/token.key"' in " ".join(printed.out.split())
    lines = [line.removeprefix("wampush: ") for line in printed.err.splitlines()]
    begins = [
        f"http.token_file '{tmp_path}/http.token' holds 5 bytes; a token needs at least 16",
        f"tls.key '{certificate.key}' holds no readable private key; it must be PEM",
        f"token.key_file '{tmp_path}/token.key' cannot be read: No such file or directory; name a",
        f"cra.keys_file '{tmp_path}/cra.toml' is not TOML in UTF-8",
        f"webhooks.secret_file '{tmp_path}/hooks.key' holds 5 bytes; a secret needs at least 32",
        f"redis_source[1].password_file '{tmp_path}/redis' holds no password",
        f"redis_source[1].key '{certificate.key}' holds no readable private key",
        "websocket.listen 'ssl:8444",
    ]
    for line, begin in zip(lines, begins, strict=True):
        assert line.startswith(begin)
    assert SECRET not in printed.out + printed.err


def test_with_a_topic_no_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text('[http]\ntoken_file = "/nowhere"\n', encoding="utf-8")
    assert main(["check", "--config", str(path), "a.topic"]) == 0


def test_every_kind_of_file_has_a_reader() -> None:
    assert set(_readers()) == set(FileKind)


NAMED = [key for key, each in FIELDS.items() if each.file is not None]


@pytest.mark.parametrize("key", NAMED)
def test_every_setting_that_names_a_file_is_looked_at(key: str, tmp_path: Path) -> None:
    section, name = key.split(".")
    changed = replace(getattr(Settings(), section), **{name: str(tmp_path / "no" / "file")})
    assert any(key in each for each in problems(replace(Settings(), **{section: changed})))


def test_every_entry_that_names_a_file_is_looked_at(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    named = {
        f"{table}.{name}"
        for table, entry in LIST_FIELDS.items()
        for name, each in entry.items()
        if each.file is not None
    }
    names = ("sentinel_password_file", "password_file", "ca", "certificate", "key")
    of_redis: dict[str, Any] = dict.fromkeys(names, missing)
    assert named == {f"redis_source.{name}" for name in of_redis}
    assert LISTS["redis_source"] is RedisSourceSettings
    entry = RedisSourceSettings(REDIS, ("a",), **of_redis)
    found = list(problems(Settings(redis_source=(entry, entry))))
    assert [each.partition(" ")[0] for each in found] == [
        f"redis_source[{number}].{name}" for number in (1, 2) for name in of_redis
    ]


@pytest.mark.parametrize("endpoint", ["ssl:8443", "ssl:8443:interface=127.0.0.1"])
def test_tls_is_needed_where_a_listener_uses_it(endpoint: str) -> None:
    for settings in (
        Settings(websocket=WebSocketSettings(listen=(endpoint,))),
        Settings(http=HttpSettings(listen=endpoint)),
    ):
        (found,) = problems(settings)
        assert found.startswith("tls.certificate is not set")


def test_a_key_that_belongs_to_another_certificate(
    tmp_path: Path, certificate: Certificate
) -> None:
    other = make_certificate(tmp_path, "other")
    tls = TlsSettings(certificate=str(certificate.certificate), key=str(other.key))
    used = Settings(tls=tls, websocket=WebSocketSettings(listen=("ssl:8443",)))
    (found,) = problems(used)
    assert "does not belong to the first certificate" in found
    entry = RedisSourceSettings(REDIS, ("a",), certificate=tls.certificate, key=tls.key)
    (found,) = problems(Settings(redis_source=(entry,)))
    assert found.startswith("redis_source[1].key")


def test_keys_of_endpoints_themselves(tmp_path: Path, certificate: Certificate) -> None:
    def found(endpoint: str) -> list[str]:
        return list(problems(Settings(websocket=WebSocketSettings(listen=(endpoint,)))))

    key, chain = certificate.key, certificate.certificate
    for endpoint in (f"ssl:1:privateKey={key}:certKey={chain}", f"haproxy:ssl:1:privateKey={key}"):
        # Without certKey both are in the file of the key.
        assert len(found(endpoint)) == ("certKey" not in endpoint)
    (line,) = found(f"ssl:1:privateKey={key}:certKey={chain}:extraCertChain={tmp_path}/none")
    assert "extraCertChain" in line


def test_one_half_of_curve(tmp_path: Path) -> None:
    _, server = zmq.auth.create_certificates(tmp_path, "curve")
    (found,) = problems(Settings(zmq=ZmqSettings(curve_secret_key_file=str(server))))
    assert found.startswith("zmq.curve_client_keys is not set")


def test_a_relative_path_is_told_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = problems(Settings(http=HttpSettings(token_file="http.token")))
    assert found.endswith(f"name an existing file; relative to '{tmp_path}'")


def test_neither_the_reactor_nor_the_node_is_imported(
    tmp_path: Path, certificate: Certificate
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(everything(tmp_path, certificate), encoding="utf-8")
    load(path, {}, {})
    script = (
        "import sys\nfrom wampush.cli import main\n"
        f"assert main(['check', '--config', {str(path)!r}]) == 0\n"
        "unwanted = {'twisted.internet.reactor', 'txzmq', 'wampush.node.build'}\n"
        "assert not unwanted & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("endpoint", "is_used"), [("tcp:8080", False), ("ssl:8443", True)])
def test_a_table_without_effect_is_a_note(
    certificate: Certificate,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    endpoint: str,
    is_used: bool,
) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(certificate.table(), encoding="utf-8")
    assert main(["check", "--config", str(path), "--listen", endpoint]) == 0
    note = "wampush: note: [tls] is filled in, but no listener uses it; "
    assert capfd.readouterr().err.startswith(note) is not is_used
