"""Runs the daemon and a demo publisher, and prints the page to open.

Usage: run_demo.py [--ws-port 8080] [--zmq-port 5555] [--http-port 8081]. It runs until Ctrl-C or
SIGTERM, or until the daemon ends, whose exit status it returns then.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import FrameType

from demo_publisher import publish

PUSHES_PER_SECOND = 5.0
SETTINGS = Path(__file__).with_name("demo.toml")


def is_taken(port: int) -> bool:
    """Return whether a program listens on a port of this machine."""
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def announce(page: str, health: str, stop: threading.Event) -> None:
    """Print the address of the page as soon as the daemon responds."""
    while not stop.wait(0.1):
        try:
            with urllib.request.urlopen(health, timeout=5):  # noqa: S310 - our own address
                break
        except OSError:
            # Also when the daemon ends after it took the connection.
            continue
    else:
        return
    print(f"\nOpen {page}\nPress Ctrl-C to stop.\n", flush=True)


def main() -> int:
    """Start daemon and publisher, wait until the daemon ends, and return its exit status."""
    parser = argparse.ArgumentParser(description="Run the daemon and a demo publisher.")
    parser.add_argument("--ws-port", type=int, default=8080, help="port for browsers")
    parser.add_argument("--zmq-port", type=int, default=5555, help="port for backends")
    parser.add_argument("--http-port", type=int, default=8081, help="port of the demo page")
    arguments = parser.parse_args()
    for name, port in vars(arguments).items():
        # A daemon that already runs there would receive the pushes and answer the health checks.
        if is_taken(port):
            print(
                f"port {port} is in use; stop the program that listens on it, or choose another "
                f"port with make run {name.upper()}=NUMBER",
                file=sys.stderr,
            )
            return 1
    push = f"tcp://127.0.0.1:{arguments.zmq_port}"
    http = f"http://127.0.0.1:{arguments.http_port}"
    command = [
        str(Path(sys.executable).with_name("twistd")),
        "-n",
        "--pidfile=",
        "wampush",
        f"--config={SETTINGS}",
        f"--listen=tcp:{arguments.ws_port}:interface=127.0.0.1",
        f"--pull={push}",
        f"--http=tcp:{arguments.http_port}:interface=127.0.0.1",
    ]
    stop = threading.Event()
    helpers = (
        threading.Thread(target=publish, args=(push, PUSHES_PER_SECOND, stop)),
        threading.Thread(target=announce, args=(f"{http}/demo/", f"{http}/healthz", stop)),
    )
    daemon = subprocess.Popen(command, start_new_session=True)

    def stop_daemon(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        daemon.terminate()

    # SIGHUP: the terminal was closed. The daemon is in a session of its own and gets no signal.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_daemon)
    for helper in helpers:
        helper.start()
    try:
        status = daemon.wait()
        # twistd ends by the signal that stopped it, which is success if it was requested here.
        return 0 if stop.is_set() else status
    finally:
        stop.set()
        for helper in helpers:
            helper.join()


if __name__ == "__main__":
    sys.exit(main())
