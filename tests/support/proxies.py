"""The reverse proxies of Debian, each with its file from deploy/, as a process of this test run."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.support.certificates import Certificate
from tests.support.daemon import Daemon
from tests.support.nginx import running_nginx
from tests.support.waiting import eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
_CERTIFICATE: Final = "/etc/ssl/push.example.org.pem"
_KEY: Final = "/etc/ssl/push.example.org.key"
_MODULES: Final = Path("/usr/lib/apache2/modules")


@dataclass(frozen=True)
class Place:
    """What a proxy needs to know.

    :param folder: is made; for all its files.
    :param port: where it speaks TLS, on 127.0.0.1.
    :param daemon: what is behind it.
    :param certificate: its certificate.
    """

    folder: Path
    port: int
    daemon: Daemon
    certificate: Certificate

    @property
    def websocket(self) -> str:
        """Host and port of the daemon."""
        return f"127.0.0.1:{self.daemon.websocket_port}"


def adapted(name: str, changes: Mapping[str, str]) -> str:
    """A file of deploy/ with other ports and paths.

    :param changes: by each text, which must be in the file, what replaces it.
    """
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text, f"{name}: no {before!r}"
        text = text.replace(before, after)
    return text


def program(name: str, package: str) -> str:
    """Where a program of the system is.

    :raises AssertionError: it is not installed; says how to install it.
    """
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is missing: apt-get install {package}"
    return found


@contextlib.contextmanager
def _running(
    command: Sequence[str], place: Place, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[None]:
    """Run a proxy for the length of the block; it listens when that begins.

    :param more: of its environment.
    """
    environment = {**os.environ, **more}
    process = Process(command, cwd=place.folder, environment=environment)
    try:
        try:
            eventually(lambda: _listens(place.port), bool)
        except AssertionError:
            logs = "".join(path.read_text() for path in place.folder.glob("*.log"))
            message = f"it does not listen: {process.log}\n{logs}"
            raise AssertionError(message) from None
        yield
    finally:
        process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx(place: Place) -> Iterator[None]:
    """Run nginx with deploy/nginx."""
    servers = adapted(
        "nginx/wampush.conf",
        {
            "    listen [::]:443 ssl;\n": "",
            "listen 443 ssl;": f"listen 127.0.0.1:{place.port} ssl;",
            "127.0.0.1:8080": place.websocket,
            _CERTIFICATE: str(place.certificate.certificate),
            _KEY: str(place.certificate.key),
        },
    )
    with running_nginx(place.folder, "events {}\n", servers):
        eventually(lambda: _listens(place.port), bool)
        yield


@contextlib.contextmanager
def apache(place: Place) -> Iterator[None]:
    """Run Apache with deploy/apache."""
    place.folder.mkdir()
    modules = ("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "ssl")
    loaded = "".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so\n" for name in modules)
    account = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
    host = adapted(
        "apache/wampush.conf",
        {
            "*:443": f"127.0.0.1:{place.port}",
            "127.0.0.1:8080": place.websocket,
            _CERTIFICATE: str(place.certificate.certificate),
            _KEY: str(place.certificate.key),
        },
    )
    path = place.folder / "apache2.conf"
    path.write_text(
        f"ServerRoot {place.folder}\nDefaultRuntimeDir {place.folder}\nServerName localhost\n"
        f"PidFile {place.folder}/pid\nErrorLog {place.folder}/error.log\n{loaded}{account}"
        f"StartServers 1\nListen 127.0.0.1:{place.port}\n{host}",
        encoding="utf-8",
    )
    command = [program("apache2", "apache2-bin"), "-D", "FOREGROUND", "-f", str(path)]
    with _running(command, place):
        yield


@contextlib.contextmanager
def haproxy(place: Place) -> Iterator[None]:
    """Run HAProxy with deploy/haproxy."""
    place.folder.mkdir()
    both = place.folder / "both.pem"
    certificate = place.certificate
    both.write_bytes(certificate.certificate.read_bytes() + certificate.key.read_bytes())
    path = place.folder / "haproxy.cfg"
    text = adapted(
        "haproxy/haproxy.cfg",
        {
            ":::443 v4v6": f"127.0.0.1:{place.port}",
            "127.0.0.1:8080": place.websocket,
            "port 8081": f"port {place.daemon.http_port}",
            "/etc/haproxy/push.example.org.pem": str(both),
        },
    )
    path.write_text(text, encoding="utf-8")
    with _running([program("haproxy", "haproxy"), "-db", "-f", str(path)], place):
        yield


@contextlib.contextmanager
def caddy(place: Place) -> Iterator[None]:
    """Run Caddy with deploy/caddy."""
    place.folder.mkdir()
    certificate = place.certificate
    site = "{$PUSH_HOST:push.example.org} {\n"
    tls = f"\ttls {certificate.certificate} {certificate.key}\n"
    text = adapted("caddy/Caddyfile", {site: site + tls})
    path = place.folder / "Caddyfile"
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\n"
    path.write_text(options + text, encoding="utf-8")
    command = [program("caddy", "caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]
    environment = {
        "HOME": str(place.folder),
        "XDG_CONFIG_HOME": str(place.folder),
        "XDG_DATA_HOME": str(place.folder),
        "PUSH_HOST": f"https://:{place.port}",
        "WAMPUSH": place.websocket,
    }
    with _running(command, place, environment):
        yield


PROXIES: Final[Mapping[str, Callable[[Place], AbstractContextManager[None]]]] = MappingProxyType(
    {"nginx": nginx, "apache": apache, "haproxy": haproxy, "caddy": caddy}
)


@contextlib.contextmanager
def running_proxy(
    name: str, folder: Path, daemon: Daemon, certificate: Certificate
) -> Iterator[int]:
    """Run a proxy on a free port, which the block gets.

    :param name: one of PROXIES.
    :param folder: for a folder of its own.
    """
    with (
        reserved_ports(1) as (port,),
        PROXIES[name](Place(folder / name, port, daemon, certificate)),
    ):
        yield port
