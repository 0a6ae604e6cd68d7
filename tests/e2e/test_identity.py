"""The examples of docs/howto/identity.md against the daemon, PHP and the genuine AutobahnJS."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.pages import PageServer
from tests.support.php import UNHURRIED, php_program, php_server
from tests.support.waiting import PATIENCE
from wampush.cli import main
from wampush.config.load import load
from wampush.edges.auth.tokens import Tokens

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "howto" / "identity.md").read_text(encoding="utf-8")


def example(language: str, words: str) -> str:
    """The one block of the guide in a language that holds these words."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return str(found)


@contextmanager
def configured(folder: Path, text: str) -> Iterator[Daemon]:
    """A daemon with an example of the guide as its configuration."""
    path = folder / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    with running_daemon(folder, extra=["--config", str(path), *UNHURRIED]) as daemon:
        yield daemon


@pytest.fixture
def page(browser: Browser, pages: PageServer) -> Any:
    """A page that can open sessions and call; AutobahnJS is loaded."""
    opened = browser.open(f"{pages.url}/plain.html")
    opened.evaluate(
        """() => {
            window.called = (name, uri, ...args) => new Promise(resolve =>
                sessions[name].call(uri, ...args).then(
                    result => resolve({result}), error => resolve({error: error.uri})));
            window.opened = url => new Promise(resolve => {
                var socket = new WebSocket(url, ['wamp']);
                socket.onopen = () => { resolve(true); socket.close(); };
                socket.onerror = () => resolve(false);
            });
        }"""
    )
    return opened


def refresh(page: Any, name: str, token: str) -> Any:
    return page.evaluate("a => called(a[0], 'wampush.refresh', a[1])", [name, token])


def test_a_token_of_the_command_and_one_of_php(
    tmp_path: Path, page: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    for line in example("sh", "openssl rand").splitlines():
        subprocess.run(line, shell=True, cwd=tmp_path, check=True, timeout=PATIENCE)
    text = example("toml", 'order = ["token", "anonymous"]')
    text = text.replace('"token.key"', json.dumps(str(tmp_path / "token.key")))
    with configured(tmp_path, text) as daemon:
        command = example("sh", "wampush token").split()[1:]
        assert command[:3] == ["token", "--config", "wampush.toml"]
        command[2] = str(tmp_path / "wampush.toml")
        assert main(command) == 0
        made = capfd.readouterr().out.strip()
        php = php_program()
        code = example("php", "hash_hmac").removeprefix("<?php")
        by_php = subprocess.run(
            [php, "-r", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        url = f"{daemon.websocket_url}/?token="
        page.evaluate("url => openSession('A', url)", url + by_php)
        answer = refresh(page, "A", made)
        assert answer["result"]["user"] == "7"
        assert refresh(page, "A", made[:-4] + "AAAA") == {
            "error": "http://api.wamp.ws/error#token-refused"
        }
        assert page.evaluate("url => opened(url)", url)
        assert not page.evaluate("url => opened(url)", url + by_php[:-4] + "AAAA")
        daemon.wait_for_line("token-refused")
        assert by_php.rpartition(".")[0] not in daemon.log
        assert made not in daemon.log


def test_a_session_ends_with_its_token_unless_it_is_refreshed(tmp_path: Path, page: Any) -> None:
    (tmp_path / "token.key").write_text("0123456789abcdef" * 2, encoding="utf-8")
    text = (
        '[auth]\norder = ["token"]\n[token]\nleeway = 0\n'
        f"key_file = {json.dumps(str(tmp_path / 'token.key'))}\n"
    )
    with configured(tmp_path, text) as daemon:

        def token(seconds: int) -> str:
            done = subprocess.run(
                [
                    php_program(),
                    "-r",
                    example("php", "hash_hmac")
                    .removeprefix("<?php")
                    .replace("time() + 600", f"time() + {seconds}"),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
                timeout=PATIENCE,
            )
            return done.stdout

        page.evaluate("() => { window.ends = []; }")
        open_session = """([name, url]) => new Promise(resolve => {
            sessions[name] = new ab.Session(url, resolve, () => ends.push(name));
        })"""
        # All that has to happen within the six seconds is that the long one is refreshed.
        later = token(600)
        page.evaluate(open_session, ["long", f"{daemon.websocket_url}/?token={token(6)}"])
        assert refresh(page, "long", later)["result"]["user"] == "7"
        page.evaluate(open_session, ["short", f"{daemon.websocket_url}/?token={token(6)}"])
        page.wait_for_function("() => window.ends.length > 0")
        assert page.evaluate("() => window.ends") == ["short"]
        assert daemon.counts()[0] == 1


def test_a_php_session_by_callback(tmp_path: Path, browser: Browser, page: Any) -> None:
    application = tmp_path / "web"
    sessions = tmp_path / "sessions"
    for folder in (application, sessions):
        folder.mkdir()
    (application / "who.php").write_text(example("php", "use_strict_mode"), encoding="utf-8")
    login = "<?php session_start(); $_SESSION['user'] = $_GET['user']; $_SESSION['groups'] = ['g'];"
    (application / "login.php").write_text(login, encoding="utf-8")
    with php_server(sessions, application) as php:
        rules = (
            '[[permissions]]\nmatch = "user.{user}"\nactions = ["subscribe"]\n'
            'to = ["authenticated"]\n'
        )
        text = example("toml", "[callback]").replace("http://127.0.0.1:8000", php.url)
        text = '[clients]\nsubscribe = "deny"\n' + text + rules
        with configured(tmp_path, text) as daemon:
            # Cookies know no ports: the browser sends those of the PHP server to wampush too.
            browser.open(f"{php.url}/login.php?user=7")
            for name, topic in (("A", "user.7"), ("B", "user.8")):
                page.evaluate(
                    "([name, url]) => openSession(name, url)", [name, daemon.websocket_url]
                )
                page.evaluate(
                    "([name, topic]) => sessions[name].subscribe(topic, function () {})",
                    [name, topic],
                )
                page.evaluate("name => settled(name)", name)
            assert daemon.counts()[1] == 1
            assert daemon.health()["refusals"] == {"subscribe-forbidden": 1}


def derived_key(iterations: int) -> str:
    """The key of bob in the guide."""
    key = hashlib.pbkdf2_hmac("sha256", b"secret", b"SALT99", iterations, 32)
    return base64.b64encode(key).decode()


def test_wamp_cra_with_autobahn_js(tmp_path: Path, page: Any) -> None:
    keys = tmp_path / "keys.toml"
    file = example("text", "[keys.alice]")
    # Deriving a key in the page takes seconds; a hundredth of the iterations shows the same.
    assert derived_key(10_000) in file
    file = file.replace(derived_key(10_000), derived_key(100)).replace("10000", "100")
    keys.write_text(file, encoding="utf-8")
    text = example("toml", "[cra]").replace('"keys.toml"', json.dumps(str(keys))) + "timeout = 60\n"
    page.evaluate(f"() => {{ window.login = {example('js', 'authsign')}; }}")
    with configured(tmp_path, text) as daemon:
        outcomes = {}
        for name, key, secret in (
            ("A", "alice", "a long random text"),
            ("B", "bob", "secret"),
            ("C", "bob", "wrong"),
            ("D", "nobody", "secret"),
        ):
            page.evaluate("([name, url]) => openSession(name, url)", [name, daemon.websocket_url])
            outcomes[name] = page.evaluate(
                """([name, key, secret]) => new Promise(resolve =>
                    login(sessions[name], key, secret, result => resolve({result}),
                          error => resolve({error: error.uri})))""",
                [name, key, secret],
            )
        for name in "AB":
            assert outcomes[name]["result"]["pubsub"][0]["sub"] is True
        for name in "CD":
            assert outcomes[name] == {"error": "http://api.wamp.ws/error#invalid-signature"}
        page.evaluate("() => sessions.A.subscribe('t', function () {})")
        page.evaluate("() => sessions.C.subscribe('u', function () {})")
        for name in "AC":
            page.evaluate("name => settled(name)", name)
        assert daemon.counts()[1] == 1
        again = page.evaluate(
            "() => called('A', 'http://api.wamp.ws/procedure#authreq', 'alice', null)"
        )
        assert again == {"error": "http://api.wamp.ws/error#already-authenticated"}


def test_who_does_not_prove_whose_it_is_in_time_is_dropped(tmp_path: Path, page: Any) -> None:
    (tmp_path / "keys.toml").write_text('[keys.a]\nsecret = "s"\n', encoding="utf-8")
    path = json.dumps(str(tmp_path / "keys.toml"))
    text = f'[auth]\norder = ["cra"]\n[cra]\nkeys_file = {path}\ntimeout = 0.5\n'
    with configured(tmp_path, text) as daemon:
        page.evaluate(
            """url => new Promise(resolve => {
                new ab.Session(url, function () {}, function (code) { resolve(code); });
            })""",
            daemon.websocket_url,
        )
        daemon.wait_for_line("authentication-timeout")


def test_the_key_of_the_guide_is_made_as_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda: "secret")
    exec(compile(example("python", "getpass"), "guide", "exec"), {})
    derived = capsys.readouterr().out.strip()
    assert f'derived = "{derived}"' in GUIDE


def test_the_key_pair_of_the_guide_signs_for_its_configuration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for line in example("sh", "openssl ecparam").splitlines():
        subprocess.run(line, shell=True, cwd=tmp_path, check=True, timeout=PATIENCE)
    path = tmp_path / "wampush.toml"
    text = example("toml", "ES256")
    path.write_text(
        text.replace('"public.pem"', json.dumps(str(tmp_path / "public.pem"))), encoding="utf-8"
    )
    private = str(tmp_path / "private.pem")
    assert main(["token", "--config", str(path), "--key-file", private, "--user", "7"]) == 0
    tokens = Tokens(load(path, {}, {}).settings.token)
    assert tokens.identify(capfd.readouterr().out.strip()).user == "7"
