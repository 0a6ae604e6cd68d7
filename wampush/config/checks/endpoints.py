r"""Check of Twisted endpoint strings.

Owns: their grammar, the arguments of the common kinds, and corrections of frequent mistakes.

The grammar is ``kind:value:name=value``; a backslash escapes ``:``, ``=`` and ``\``. Kinds that
other packages provide are known only to Twisted, which checks them when the server starts to
listen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from wampush.config.checks.check import Rejected, converted

_EXAMPLE = "tcp:8080:interface=127.0.0.1"
_HIGHEST_PORT = 65_535
_ANY_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*:(?!//).*")
_OPEN_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\$")
#: Other forms of addresses that people write instead of endpoint strings.
_PORT_ALONE = re.compile(r":?(?P<port>[0-9]{1,9})")
_NAME = r"localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+"
_HOST_AND_PORT = re.compile(
    rf"(?P<host>\*|\[[0-9a-f:]+\]|{_NAME}):(?P<port>[0-9]{{1,9}})", re.IGNORECASE
)
_URL = re.compile(
    r"[a-z]+://(?P<host>\*|\[[0-9a-f:]+\]|[a-z0-9.-]+):(?P<port>[0-9]{1,9})(?:/.*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an endpoint string, unescaped.

    :param kind: the text before the first colon.
    :param values: the values without a name, in order.
    :param named: the values with a name.
    """

    kind: str
    values: Sequence[str]
    named: Mapping[str, str]


def parts_of(endpoint: str) -> Parts:
    """Split an endpoint string without checking it."""
    kind, *fields = _split(endpoint, ":")
    values: list[str] = []
    named: dict[str, str] = {}
    for each in fields:
        name, *rest = _split(each, "=")
        if rest:
            named[_plain(name)] = _plain("=".join(rest))
        else:
            values.append(_plain(each))
    return Parts(kind, values, named)


def _split(text: str, separator: str) -> list[str]:
    """Split at unescaped separators."""
    pieces = [""]
    is_escaped = False
    for character in text:
        if character == separator and not is_escaped:
            pieces.append("")
        else:
            pieces[-1] += character
        is_escaped = character == "\\" and not is_escaped
    return pieces


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Kind:
    """The arguments that Twisted accepts for one kind of endpoint.

    :param names: the names of the arguments, in the order of values without a name.
    :param example: a usable endpoint.
    """

    names: Sequence[str]
    example: str


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "tcp": _Kind(("port", "interface", "backlog"), _EXAMPLE),
        "tcp6": _Kind(("port", "interface", "backlog"), r"tcp6:8080:interface=\:\:1"),
        "ssl": _Kind(
            (
                "port",
                "privateKey",
                "certKey",
                "sslmethod",
                "interface",
                "backlog",
                "extraCertChain",
                "dhParameters",
            ),
            "ssl:8443:interface=127.0.0.1",
        ),
        "unix": _Kind(("address", "mode", "backlog", "lockfile"), "unix:/run/wampush.sock"),
    }
)
#: The form of a value by its name, as an expression and in words.
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        "port": (re.compile("[0-9]{1,5}"), f"a whole number from 0 to {_HIGHEST_PORT}"),
        "backlog": (re.compile("[0-9]{1,9}"), "a whole number"),
        "mode": (re.compile("[0-7]{1,4}"), "an octal number such as 660"),
        "lockfile": (re.compile("[01]"), "0 or 1"),
        "address": (re.compile(".+"), "a path"),
    }
)


def _instead_of(text: str) -> str | None:
    """Return the endpoint string for an address that was written in another form."""
    found = _PORT_ALONE.fullmatch(text) or _HOST_AND_PORT.fullmatch(text) or _URL.fullmatch(text)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        return None
    port, host = found["port"], found.groupdict().get("host")
    if host is None:
        return f"tcp:{port}:interface=127.0.0.1, or tcp:{port} for all addresses of this machine"
    if host == "*":
        return f"tcp:{port}"
    if host.startswith("["):
        escaped = host.strip("[]").replace(":", r"\:")
        return f"tcp6:{port}:interface={escaped}"
    return f"tcp:{port}:interface={host}"


def _fault(endpoint: str, *, is_inner: bool = False) -> str | None:
    """Return what would be right; None for a usable endpoint and for unknown kinds.

    :param is_inner: whether ``haproxy:`` precedes the endpoint.
    """
    parts = parts_of(endpoint)
    if parts.kind == "haproxy":
        return _fault(endpoint.partition(":")[2], is_inner=True)
    kind = _KINDS.get(parts.kind)
    if kind is None:
        lower = parts.kind.lower()
        if lower in _KINDS:
            return f"an endpoint that begins with {lower}:, in lower case"
        return None if endpoint.partition(":")[2] else f"an endpoint such as {_EXAMPLE}"
    if parts.kind == "tcp":
        meant = _instead_of(":".join(parts.values[:2]))
        if len(parts.values) > 1 and meant is not None:
            return f"{meant}; the port comes first"
    if len(parts.values) > len(kind.names) or (parts.named and "" in parts.values):
        return (
            f"an endpoint such as {kind.example}; in an IPv6 address each colon has a backslash "
            r"before it, as in interface=\:\:1"
        )
    return _fault_of_names(parts, kind) or _fault_of_values(parts, kind, is_inner)


def _fault_of_names(parts: Parts, kind: _Kind) -> str | None:
    unnamed = kind.names[: len(parts.values)]
    for name in parts.named:
        if name not in kind.names:
            return f"an endpoint without {name!r}; {parts.kind}: takes {', '.join(kind.names)}"
        if name in unnamed:
            return f"an endpoint with one {name}, such as {kind.example}"
    return None


def _fault_of_values(parts: Parts, kind: _Kind, is_inner: bool) -> str | None:
    values = {**dict(zip(kind.names, parts.values, strict=False)), **parts.named}
    first = kind.names[0]
    for name, value in {first: "", **values}.items():
        form, words = _FORMS.get(name, (None, ""))
        if form is not None and not form.fullmatch(value):
            return f"an endpoint whose {name} is {words}, such as {kind.example}"
    if first == "port" and int(values["port"]) > _HIGHEST_PORT:
        return f"an endpoint whose port is {_FORMS['port'][1]}, such as {kind.example}"
    if parts.kind != "ssl" or "privateKey" in values:
        return None
    if is_inner or values.keys() - {"port", "interface", "backlog"}:
        return (
            "an endpoint with privateKey=FILE:certKey=FILE, or with port, interface and backlog "
            "only; then the key and the certificate come from [tls], which haproxy: does not use"
        )
    return None


def _usable(text: str) -> object:
    """Accept what Twisted will, as far as that can be decided without it."""
    is_clean = text.isprintable() and text == text.strip()
    right = _instead_of(text)
    if right is None and not (is_clean and _ANY_KIND.fullmatch(text)):
        return None
    if right is None and _OPEN_BACKSLASH.search(text):
        right = "an endpoint that does not end in a backslash"
    right = right or _fault(text)
    return text if right is None else Rejected(right, text)


_FORM = f"a Twisted endpoint string such as {_EXAMPLE}"
ENDPOINT = converted(_FORM, _usable)
ENDPOINT_OR_OFF = converted(
    f'{_FORM}, or "off"', lambda text: text if text == "off" else _usable(text)
)

ListenEndpoint = Annotated[str, ENDPOINT]
EndpointOrOff = Annotated[str, ENDPOINT_OR_OFF]
