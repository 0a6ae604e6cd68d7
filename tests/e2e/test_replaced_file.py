"""The seed's page on a web site whose proxy has wampush.js in place of the old file."""

from __future__ import annotations

import contextlib
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import zmq
from playwright.sync_api import Browser as Chromium

from tests.support.browser import new_user
from tests.support.daemon import Daemon
from tests.support.nginx import running_nginx
from tests.support.proxies import adapted, program
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

ROOT = Path(__file__).resolve().parents[2]
MODULES = Path("/usr/lib/apache2/modules")
TOPIC = "MainCategory"


@contextlib.contextmanager
def nginx(folder: Path, site: Path, port: int, websocket: str) -> Iterator[None]:
    """Serve a web site, with deploy/nginx/wampush-js.conf."""
    alias = adapted("nginx/wampush-js.conf", {"127.0.0.1:8080": websocket})
    server = f"server {{ listen 127.0.0.1:{port}; root {site};\n{alias}}}\n"
    # The account of the workers can read the site of the test only if it is that of the test.
    account = "user root;\n" if os.geteuid() == 0 else ""
    with running_nginx(folder, f"{account}events {{}}\n", server):
        yield


@contextlib.contextmanager
def apache(folder: Path, site: Path, port: int, websocket: str) -> Iterator[None]:
    """Serve a web site, with deploy/apache/wampush-js.conf."""
    folder.mkdir()
    names = ("mpm_event", "authz_core", "dir", "mime", "proxy", "proxy_http")
    loaded = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in names)
    account = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
    alias = adapted("apache/wampush-js.conf", {"127.0.0.1:8080": websocket})
    path = folder / "apache2.conf"
    path.write_text(
        f"ServerRoot {folder}\nDefaultRuntimeDir {folder}\nServerName localhost\n"
        f"PidFile {folder}/pid\nErrorLog {folder}/error.log\n{loaded}{account}"
        f"TypesConfig /dev/null\nAddType text/html .html\nStartServers 1\nListen 127.0.0.1:{port}\n"
        f"<VirtualHost *>\nDocumentRoot {site}\n{alias}</VirtualHost>\n",
        encoding="utf-8",
    )
    command = [program("apache2", "apache2-bin"), "-D", "FOREGROUND", "-f", str(path)]
    process = Process(command, cwd=folder)
    try:
        eventually(
            lambda: ((folder / "pid").exists(), process.log, (folder / "error.log").exists()),
            lambda seen: seen[0],
        )
        yield
    finally:
        process.terminate()


PROXIES: dict[str, Callable[..., AbstractContextManager[None]]] = {"nginx": nginx, "apache": apache}


def push(daemon: Daemon, title: str) -> None:
    """Push as the seed's backend does, as soon as the page has subscribed."""
    eventually(daemon.counts, lambda counts: counts[:2] == (1, 1))
    with zmq.Context() as context, context.socket(zmq.PUSH) as backend:
        backend.connect(daemon.zmq_address)
        backend.send_json({"category": TOPIC, "title": title})


@pytest.mark.parametrize("name", PROXIES)
def test_the_page_as_it_is_survives_the_death_of_the_server(
    name: str, shared_chromium: Chromium, autobahn_js: bytes, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    (site / "js").mkdir(parents=True)
    (site / "js" / "autobahn.min.js").write_bytes(autobahn_js)
    page_text = (Path(__file__).parent / "pages" / "seed.html").read_text(encoding="utf-8")
    page_text = page_text.replace("/autobahn.min.js", "/js/autobahn.min.js")
    # How many folders of pytest are above depends on whether it runs several processes.
    above = [each for each in tmp_path.parents if Path(tempfile.gettempdir()) in each.parents]
    for folder in (*above, tmp_path, site, site / "js"):
        folder.chmod(folder.stat().st_mode | 0o011)
    with reserved_ports(4) as (*ports, port):
        page_text = page_text.replace("PORT", str(ports[0])).replace("CATEGORY", TOPIC)
        (site / "index.html").write_text(page_text, encoding="utf-8")
        (site / "seed.html").write_text(page_text, encoding="utf-8")
        daemon = Daemon(ports, cwd=tmp_path)
        try:
            daemon.wait_until_ready()
            websocket = f"127.0.0.1:{ports[0]}"
            with (
                PROXIES[name](tmp_path / name, site, port, websocket),
                new_user(shared_chromium) as user,
            ):
                address = f"http://127.0.0.1:{port}/js/autobahn.min.js"
                with urllib.request.urlopen(address, timeout=PATIENCE) as response:
                    served = response.read()
                assert served == (ROOT / "static" / "wampush.js").read_bytes()
                page = user.open(f"http://127.0.0.1:{port}/seed.html")
                push(daemon, "before")
                page.wait_for_function("document.getElementById('title').textContent === 'before'")
                daemon.kill()
                if name == "nginx":
                    # Pages that are loaded meanwhile get the file that was there.
                    with urllib.request.urlopen(address, timeout=PATIENCE) as response:
                        assert response.read() == autobahn_js
                daemon = Daemon(ports, cwd=tmp_path)
                daemon.wait_until_ready()
                push(daemon, "after")
                page.wait_for_function("document.getElementById('title').textContent === 'after'")
                assert page.inner_text("#count") == "2"
                assert page.inner_text("#state") == "open"
                assert user.errors == []
        finally:
            daemon.kill()
