"""The listening sockets that systemd has passed to this process (sd_listen_fds(3)).

Owns: their names, and which of them no listener uses. Twisted's ``systemd:`` endpoints adopt the
sockets themselves.
Must not import: anything of wampush but ``config.checks``, Twisted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wampush.config.checks.endpoints import Parts, parts_of

VARIABLE: Final = "LISTEN_FDNAMES"


def passed_names(environment: Mapping[str, str]) -> Sequence[str]:
    """Return the names of the sockets, in the order of their descriptors.

    The variables with their number are gone: Twisted removes them when it is imported.

    :param environment: of the process.
    """
    text = environment.get(VARIABLE, "")
    return text.split(":") if text else ()


def unused_names(environment: Mapping[str, str], endpoints: Iterable[str]) -> Sequence[str]:
    """Return the names of the sockets that no endpoint names.

    :param environment: of the process.
    :param endpoints: endpoint strings, as configured.
    """
    names = passed_names(environment)
    used: set[str] = set()
    for endpoint in endpoints:
        parts = parts_of(endpoint.removeprefix("haproxy:"))
        if parts.kind == "systemd":
            used.update(_named_by(parts, names))
    return [name for name in names if name not in used]


def _named_by(parts: Parts, names: Sequence[str]) -> Iterable[str]:
    unnamed = dict(zip(("domain", "index", "name"), parts.values, strict=False))
    values = {**unnamed, **parts.named}
    if "name" in values:
        return (values["name"],)
    index = int(values.get("index", "0"))
    return names[index : index + 1]


def problem_of(endpoint: str, environment: Mapping[str, str]) -> str:
    """Return why systemd has not passed the socket that an endpoint names.

    :param endpoint: an endpoint string, as configured.
    :param environment: of the process.
    """
    names = passed_names(environment)
    if not names:
        return f"systemd has passed no socket to this process ({VARIABLE} is not set)"
    wanted = parts_of(endpoint.removeprefix("haproxy:")).named.get("name")
    if wanted in names:
        return "the sockets of systemd are for another process (LISTEN_PID)"
    return f"systemd has passed only {', '.join(map(repr, names))}"
