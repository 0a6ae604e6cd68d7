"""Debian's nginx in one process, with all its files in one folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import eventually
from wampush.testing.process import Process


@contextlib.contextmanager
def running_nginx(folder: Path, top: str, servers: str) -> Iterator[None]:
    """Run nginx for the length of the block, which begins when it listens.

    :param folder: is made; for all its files.
    :param top: directives of the main context.
    :param servers: directives of ``http``.
    """
    folder.mkdir()
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path, error_log = folder / "nginx.conf", folder / "error.log"
    error_log.touch()
    path.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {error_log};\n"
        f"{top}http {{\naccess_log off;\n{places}{servers}}}\n",
        encoding="utf-8",
    )
    nginx = "/usr/sbin/nginx"
    assert Path(nginx).exists(), "nginx is missing: apt-get install nginx"
    process = Process([nginx, "-p", str(folder), "-c", str(path)], cwd=folder)
    try:
        # It writes the file once it listens everywhere.
        eventually(
            lambda: ((folder / "pid").exists(), process.log, error_log.read_text()),
            lambda seen: seen[0],
        )
        yield
    finally:
        process.terminate()
