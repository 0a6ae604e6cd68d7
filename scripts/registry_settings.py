"""The registry settings of pip on this machine, translated for uv.

uv does not read pip's configuration, but a machine that reaches packages through a mirror, a proxy
or a certificate of its own is usually set up for pip.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: Settings with one value.
_SINGLE = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
#: Settings with several values, and what separates them for uv; pip separates them by whitespace.
_MULTIPLE = {
    "extra-index-url": ("UV_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "find-links": ("UV_FIND_LINKS", ","),
}
_INDEXES = {"index-url", "extra-index-url"}
_TRUE = {"1", "true", "yes", "on", "y", "t"}


def pip_settings(python: Path) -> dict[str, str]:
    """The settings of ``pip install``, from pip's files and environment variables.

    :param python: an interpreter that has pip.
    """
    listing = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in sections:
            sections[section][name] = str(ast.literal_eval(value))
    return sections["global"] | sections["install"] | sections[":env:"]


def uses_no_index(pip: Mapping[str, str]) -> bool:
    """Whether pip is to look at no index, but only at the folders that ``find-links`` names.

    :param pip: see :func:`pip_settings`.
    """
    return pip.get("no-index", "").lower() in _TRUE


def uv_environment(pip: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that give uv the same sources as pip.

    :param pip: see :func:`pip_settings`.
    """
    ignored = _INDEXES if uses_no_index(pip) else set()
    used = {name: value for name, value in pip.items() if name not in ignored}
    environment = {_SINGLE[name]: value for name, value in used.items() if name in _SINGLE}
    for name, (variable, separator) in _MULTIPLE.items():
        if values := used.get(name, "").split():
            environment[variable] = separator.join(values)
    if "UV_INDEX" in environment:
        # Like pip, which takes a package from any of its indexes.
        environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return environment
