"""Runs one example: its wampush, its pages, and whatever else it needs, until Ctrl-C.

Usage: run.py chat|orders|php [--ws-port 8080] [--zmq-port 5555] [--http-port 8081]
[--page-port 8000]. ``make example-chat`` and so on call it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from autobahn_js import autobahn_js

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
BIN = Path(sys.executable).parent
#: What the pages load, by address; php/router.php has a list of its own.
SHARED = {
    "static/site.css": ROOT / "static" / "site.css",
    "static/connection-state.js": ROOT / "static" / "connection-state.js",
    "static/wampush.js": ROOT / "static" / "wampush.js",
    "static/wampush-modern.js": ROOT / "static" / "wampush-modern.js",
    "static/wampush.svg": ROOT / "static" / "wampush.svg",
}


class Failed(Exception):
    """The example cannot run; the text says what to do."""


def main() -> int:
    """Run the example that is asked for."""
    parser = argparse.ArgumentParser(description="Run an example of wampush.")
    parser.add_argument("example", choices=("chat", "orders", "php"))
    parser.add_argument("--ws-port", type=int, default=8080, help="port for WebSockets")
    parser.add_argument("--zmq-port", type=int, default=5555, help="port for backends")
    parser.add_argument("--http-port", type=int, default=8081, help="port for operators")
    parser.add_argument("--page-port", type=int, default=8000, help="port of the example's pages")
    arguments = parser.parse_args()
    # SIGHUP: the terminal was closed. The child processes do not receive that signal.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wampush-")))
            return run(arguments, folder, stack)
    except Failed as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(arguments: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> int:
    """Start everything and wait for the end of the daemon.

    :param folder: for what lives as long as the example: secrets, the script for the pages.
    :param stack: ends what was started.
    :returns: the daemon's exit status.
    :raises Failed: when something cannot be started.
    """
    for name in ("ws_port", "zmq_port", "http_port", "page_port"):
        port = getattr(arguments, name)
        with socket.socket() as attempt:
            # Another program there would answer instead of ours.
            if port and attempt.connect_ex(("127.0.0.1", port)) == 0:
                raise Failed(
                    f"port {port} is taken: stop the program that listens on it, or choose another "
                    f"with make example-{arguments.example} {name.upper()}=NUMBER"
                )
    example = EXAMPLES / arguments.example
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32), encoding="ascii")
    pages = f"http://127.0.0.1:{arguments.page_port}"
    environment = {
        **os.environ,
        "EXAMPLE_SECRET": str(secret),
        "EXAMPLE_FOLDER": str(folder),
        "EXAMPLE_WEBSOCKET": f"ws://127.0.0.1:{arguments.ws_port}",
        "EXAMPLE_ZMQ": f"tcp://127.0.0.1:{arguments.zmq_port}",
        "EXAMPLE_HTTP": f"http://127.0.0.1:{arguments.http_port}",
    }
    if arguments.example == "php":
        (folder / "autobahn.min.js").write_bytes(fetch_autobahn_js())
    if arguments.example == "php":
        stack.enter_context(php_pages(example, arguments.page_port, environment))
    else:
        stack.enter_context(python_pages(example, folder, arguments.page_port, environment))
    daemon = subprocess.Popen(
        [
            str(BIN / "twistd"),
            "-n",
            "--pidfile=",
            "wampush",
            f"--config={example / 'wampush.toml'}",
            f"--listen=tcp:{arguments.ws_port}:interface=127.0.0.1",
            f"--pull=tcp://127.0.0.1:{arguments.zmq_port}",
            f"--http=tcp:{arguments.http_port}:interface=127.0.0.1",
        ],
        env=environment | settings(arguments.example, secret, pages),
        start_new_session=True,
    )
    stack.callback(_end, daemon)
    health = f"http://127.0.0.1:{arguments.http_port}/healthz"
    threading.Thread(target=announce, args=(daemon, health, pages), daemon=True).start()
    return daemon.wait()


def fetch_autobahn_js() -> bytes:
    """Return the client that the pages of the PHP example load.

    :raises Failed: when it cannot be downloaded.
    """
    try:
        return autobahn_js(ROOT / ".cache" / "autobahn-js")
    except (OSError, ValueError) as error:
        raise Failed(f"cannot download AutobahnJS: {error}") from error


def settings(example: str, secret: Path, pages: str) -> dict[str, str]:
    """What the example's wampush.toml cannot know, as environment variables."""
    if example == "orders":
        return {"WAMPUSH_TOKEN_KEY_FILE": str(secret)}
    if example == "php":
        return {
            "WAMPUSH_CALLBACK_URL": f"{pages}/whoami.php",
            "WAMPUSH_WEBHOOKS_URL": f"{pages}/webhook.php",
            "WAMPUSH_WEBHOOKS_SECRET_FILE": str(secret),
        }
    return {}


def announce(daemon: subprocess.Popen[bytes], health: str, pages: str) -> None:
    """Print the address of the page as soon as the daemon answers."""
    waiting = threading.Event()
    while daemon.poll() is None and not waiting.wait(0.1):
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310 - our own address
                print(f"\nOpen {pages}/\nPress Ctrl-C to stop.\n", flush=True)
                return
        except OSError:
            # Also when the daemon ends after it took the connection.
            continue


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


class _Pages(http.server.SimpleHTTPRequestHandler):
    """Files of the example's public folder, of the run's, and of those that all examples share."""

    def __init__(self, *arguments: object, public: Path, made: Path, wampush: str) -> None:
        self._public = public
        self._made = made
        self._wampush = wampush
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Serve a file, or the reason for which wampush refused a connection."""
        if self.path != "/refusal.json":
            super().do_GET()
            return
        try:
            with urllib.request.urlopen(f"{self._wampush}/demo/refusal.json", timeout=2) as answer:  # noqa: S310 - our own address
                refusal = answer.read()
        except OSError:
            refusal = b'{"refusal": null}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(refusal)))
        self.end_headers()
        self.wfile.write(refusal)

    def translate_path(self, path: str) -> str:
        """The files that are not in the public folder are few and known by name."""
        name = path.partition("?")[0].lstrip("/") or "index.html"
        if name in SHARED:
            return str(SHARED[name])
        folder = self._made if name in ("autobahn.min.js", "settings.json") else self._public
        found = (folder / name).resolve()
        return str(found if found.parent == folder.resolve() else folder / "nothing")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """The daemon's log is what matters here."""


@contextlib.contextmanager
def python_pages(
    example: Path, folder: Path, port: int, environment: dict[str, str]
) -> Iterator[None]:
    """Serve the pages of an example without PHP."""
    script = example / "page_settings.py"
    if script.exists():
        made = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, check=True
        )
        (folder / "settings.json").write_bytes(made.stdout)
    handler = functools.partial(
        _Pages, public=example / "public", made=folder, wampush=environment["EXAMPLE_HTTP"]
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def php_pages(example: Path, port: int, environment: dict[str, str]) -> Iterator[None]:
    """Serve the pages of the PHP example with PHP's own web server.

    :raises Failed: PHP or its zmq extension is missing.
    """
    php = shutil.which("php")
    if php is None or not _has_zmq(php):
        raise Failed(
            "PHP or its extension zmq is missing; on Debian 12 and 13: apt-get install php-zmq. "
            "Without the extension, the other examples run, and PHP can push over HTTP: "
            "docs/howto/publish-over-http.md"
        )
    # With one worker, a page that calls wampush would block the callback that wampush makes.
    workers = {"PHP_CLI_SERVER_WORKERS": "4"}
    server = subprocess.Popen(
        [php, "-S", f"127.0.0.1:{port}", "-t", "public", "router.php"],
        cwd=example,
        env=environment | workers,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Its workers are processes of their own.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _has_zmq(php: str) -> bool:
    asked = subprocess.run([php, "-r", "exit(extension_loaded('zmq') ? 0 : 1);"], check=False)
    return asked.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
