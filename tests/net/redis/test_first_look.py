"""A look at Redis before a node starts: logins, TLS, sentinels, and what is unfit."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import make_certificate
from tests.support.redis_server import running_redis, running_sentinel
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.tables.backplane import BackplaneSettings
from wampush.net.redis import first_look
from wampush.net.redis.first_look import NotReached, server_facts, unfitness

SECRET = "correct-horse"


def settings(url: str, **more: Any) -> BackplaneSettings:
    checked: Any = REDIS_ADDRESS.check(url)
    return BackplaneSettings(checked, **more)


def problem(chosen: BackplaneSettings) -> str:
    with pytest.raises(NotReached) as caught:
        server_facts(chosen, "backplane")
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_what_a_server_says(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    policy = ("--maxmemory-policy", "allkeys-lru")
    user = f"live on >{SECRET} ~* &* +@all -info".split()
    options = ("--unixsocket", str(path), "--requirepass", SECRET, "--user", *user, *policy)
    with running_redis(tmp_path, *options) as server:
        address = server.url.removeprefix("redis://")
        good = settings(f"redis://:{SECRET}@{address}")
        facts = server_facts(good, "backplane")
        assert (facts.role, facts.eviction) == ("master", "allkeys-lru")
        assert server_facts(settings(f"unix://:{SECRET}@{path}"), "backplane") == facts
        assert unfitness(good, "backplane", keeps_history=False) == ""
        assert "allkeys-lru may drop" in unfitness(good, "backplane", keeps_history=True)
        nothing = server_facts(settings(f"redis://live:{SECRET}@{address}"), "backplane")
        assert nothing.run_id == ""
        assert problem(settings(server.url)) == "Redis requires a password, but none is set here"
        assert problem(settings(f"redis://:wrong@{address}")) == "wrong user or password"
        no_database = problem(settings(f"redis://:{SECRET}@{address}/99"))
        assert no_database == "Redis has no database with the number in the URL"
    assert "refused" in problem(settings(server.url)).lower()


def test_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    files = {"cert": certificate.certificate, "key": certificate.key}
    options = [word for name in files for word in (f"--tls-{name}-file", str(files[name]))]
    options += ["--tls-ca-cert-file", str(certificate.certificate)]
    with running_redis(tmp_path, *options, tls=True) as server:
        url = f"rediss://localhost:{server.tls_port}"
        own = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
        chosen = settings(url, ca=str(certificate.certificate), **own)
        assert server_facts(chosen, "backplane").role == "master"
        assert "certificate verify failed" in problem(settings(url))


def test_sentinels_name_the_master(tmp_path: Path) -> None:
    with (
        running_redis(tmp_path) as server,
        running_sentinel(tmp_path, server, SECRET) as sentinel,
    ):
        path = tmp_path / "password"
        path.write_text(SECRET, encoding="utf-8")
        path.chmod(0o600)
        sentinels = ("127.0.0.1:1", f"127.0.0.1:{sentinel.port}")
        more: dict[str, Any] = {"sentinels": sentinels, "sentinel_password_file": str(path)}
        assert server_facts(settings("redis://mymaster", **more), "backplane").role == "master"
        found = problem(settings("redis://other", **more))
        assert "127.0.0.1:1: Connection refused" in found
        assert "it does not know this name" in found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does Redis listen on this port?"),
        (b"", "Redis closed the connection"),
        (None, "no answer in time"),
    ],
)
def test_what_is_not_redis(
    answer: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "LOOK_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = threading.Event()

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(1000)
                if answer is None:
                    asked.wait(10)
                else:
                    accepted.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
            assert words in problem(settings(url))
        finally:
            asked.set()
            thread.join()


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """The port of a server that gives everybody one answer; None for a server that hangs."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    kept = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                kept.append(accepted)
                if answer is not None:
                    accepted.recv(1000)
                    accepted.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield port
    finally:
        # Wakes the thread, which closing would not do.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for each in kept:
            each.close()


def test_what_hangs_leaves_time_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "LOOK_SECONDS", 1.0)
    info = b"redis_version:7.0.0\r\nrole:master\r\n"
    with (
        answering(None) as hanging,
        answering(b"$%d\r\n%b\r\n" % (len(info), info)) as master,
    ):
        address = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(master)), master)
        with answering(address) as sentinel:
            ports = (hanging, hanging, sentinel)
            chosen = settings("redis://name", sentinels=tuple(f"127.0.0.1:{p}" for p in ports))
            assert server_facts(chosen, "backplane").version == "7.0.0"


def test_servers_that_all_hang_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # One after the other, they would take longer than any test may.
    monkeypatch.setattr(first_look, "LOOK_SECONDS", 1.0)
    with answering(None) as hanging:
        sentinels = (f"127.0.0.1:{hanging}",) * 200
        found = problem(settings("redis://name", sentinels=sentinels))
        assert found.count("no answer in time") == 200
