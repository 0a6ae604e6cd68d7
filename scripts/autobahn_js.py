"""AutobahnJS 0.7.9, the client that existing pages load: fetched when needed, never committed.

It comes out of a source package on the index that pip is configured for, and is checked against
its known digest before every use.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

SHA256 = "28c1df71e207bb8280519ba6e231fea8c8dd27a810ffff36e0b1989faf3674e1"
_PROJECT = "telegraphy"
_VERSION = "0.1.2.7"
_MEMBER = "/contrib/django_telegraphy/static/telegraphy/js/autobahn.min.js"


def pip_setting(name: str) -> str | None:
    """A setting of pip, from its environment or its files, or None where its default holds."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, quoted = line.partition("=")
        found[key] = quoted.strip("'\"")
    for section in (":env:.", "download.", "global."):
        if value := found.get(section + name):
            return value
    return None


def _download_sdist(folder: Path) -> Path:
    endpoint = (pip_setting("index-url") or PYPI_SIMPLE_ENDPOINT).rstrip("/") + "/"
    with requests.Session() as http:
        certificate = pip_setting("cert")
        if certificate is not None:
            http.verify = certificate
        with PyPISimple(endpoint, session=http) as index:
            page = index.get_project_page(_PROJECT, timeout=60)
            sdist = next(
                package
                for package in page.packages
                if package.package_type == "sdist" and package.version == _VERSION
            )
            path = folder / sdist.filename
            index.download_package(sdist, path, timeout=60)
    return path


def _matches(text: bytes) -> bool:
    return hashlib.sha256(text).hexdigest() == SHA256


def autobahn_js(cache: Path) -> bytes:
    """The minified source of AutobahnJS 0.7.9.

    :param cache: folder that keeps it between runs; made when missing.
    :raises ValueError: the package no longer holds the file with the known digest.
    """
    kept = cache / "autobahn-0.7.9.min.js"
    if kept.is_file() and _matches(kept.read_bytes()):
        return kept.read_bytes()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        with tarfile.open(_download_sdist(folder)) as archive:
            member = next(entry for entry in archive if entry.name.endswith(_MEMBER))
            stream = archive.extractfile(member)
            text = b"" if stream is None else stream.read()
        if not _matches(text):
            raise ValueError(f"{_PROJECT} {_VERSION} holds another autobahn.min.js")
        fresh = folder / "fresh"
        fresh.write_bytes(text)
        fresh.replace(kept)
    return text
