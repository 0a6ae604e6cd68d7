"""Debian's nginx between the clients of a measurement and the server.

Owns: its configuration, which is that of deploy/nginx without TLS, and how many workers it has.
Must not import: wampush, scenarios.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.native import ROOT, BenchError
from bench.processes import START_SECONDS, Server, cores, free_ports, spawn, stop

#: A connection has a descriptor towards the client, and one towards the server.
_DESCRIPTORS_PER_CLIENT: Final = 2
#: Descriptors that a worker needs besides, and those of clients that it gets more than others.
_SPARE: Final = 64
_UNEQUAL: Final = 1.1
#: Part by which a worker may have more connections than are needed: when less than a sixteenth of
#: them is free, nginx closes connections whose request has not come yet.
_ROOM: Final = 1.25
_FOLDERS: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def behind_nginx(folder: Path, server: Server, clients: int) -> Iterator[Server]:
    """Run nginx in front of a server; return the server with nginx's port.

    It has one worker, or as many as the limit of descriptors makes necessary.

    :param folder: for its files.
    :param clients: how many will connect.
    :raises BenchError: nginx is not installed, or does not start.
    """
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if nginx is None:
        raise BenchError("nginx is missing: apt-get install nginx")
    with free_ports(1) as (port,):
        path = folder / "nginx.conf"
        path.write_text(_configuration(folder, server.port, port, clients))
        process = spawn(
            cores()[1],
            [nginx, "-p", str(folder), "-c", str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # As the nodes: whichever core is free.
            os.sched_setaffinity(process.pid, set(cores()))
            deadline = time.monotonic() + START_SECONDS
            # nginx writes the file once it listens.
            while not (folder / "nginx.pid").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    log = (folder / "nginx.log").read_text()
                    raise BenchError(f"nginx did not start:\n{log[-2000:]}")
                time.sleep(0.02)
            yield dataclasses.replace(server, port=port)
        finally:
            stop(process)


def _configuration(folder: Path, behind: int, port: int, clients: int) -> str:
    text = (ROOT / "deploy" / "nginx" / "wampush.conf").read_text()
    # Each worker has a queue of its own, so that they get equally many.
    for before, after in (
        ("    listen 443 ssl;\n", f"    listen 127.0.0.1:{port} backlog=4096 reuseport;\n"),
        ("    listen [::]:443 ssl;\n", ""),
        ("    ssl_certificate /etc/ssl/push.example.org.pem;\n", ""),
        ("    ssl_certificate_key /etc/ssl/push.example.org.key;\n", ""),
        ("127.0.0.1:8080", f"127.0.0.1:{behind}"),
    ):
        if before not in text:
            raise BenchError(f"deploy/nginx/wampush.conf has no {before.strip()!r} any more")
        text = text.replace(before, after)
    needed = clients * _DESCRIPTORS_PER_CLIENT + _SPARE
    # The workers of root would have to change to an account that Debian may not have.
    account = "user root;\n" if os.geteuid() == 0 else ""
    places = "".join(f"{each}_temp_path {folder}/{each};\n" for each in _FOLDERS)
    return (
        f"{account}daemon off;\nworker_processes {_workers(needed)};\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/nginx.log;\nevents {{ worker_connections {round(needed * _ROOM)}; }}\n"
        f"http {{\naccess_log off;\n{places}{text}}}\n"
    )


def _workers(descriptors: int) -> int:
    """Return how many workers can have so many descriptors together."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or descriptors <= limit:
        return 1
    return math.ceil(descriptors * _UNEQUAL / limit)
