r"""Check of Twisted endpoint strings.

Owns: their grammar, the arguments of the common kinds, and corrections of frequent mistakes.

The grammar is ``kind:value:name=value``; a backslash escapes ``:``, ``=`` and ``\``. Kinds that
other packages provide are known only to Twisted, which checks them when the server starts to
listen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from wampush.config.checks.check import Rejected, converted

_EXAMPLE: Final = "tcp:8080:interface=127.0.0.1"
_FORM: Final = f"a Twisted endpoint string such as {_EXAMPLE}"
_HIGHEST_PORT: Final = 65_535
_ANY_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*:(?!//).*")
_OPEN_BACKSLASH: Final = re.compile(r"(?<!\\)(?:\\\\)*\\$")
#: Other forms of addresses that people write instead of endpoint strings.
_PORT_ALONE: Final = re.compile(r":?(?P<port>[0-9]{1,9})")
_NAME: Final = r"localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+"
_HOST_AND_PORT: Final = re.compile(
    rf"(?P<host>\*|\[[0-9a-f:]+\]|{_NAME}):(?P<port>[0-9]{{1,9}})", re.IGNORECASE
)
_URL: Final = re.compile(
    r"[a-z]+://(?P<host>\*|\[[0-9a-f:]+\]|[a-z0-9.-]+):(?P<port>[0-9]{1,9})(?:/.*)?", re.IGNORECASE
)


class Parts(NamedTuple):
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
    """Split at separators without a backslash before them; no endpoint contains NUL."""
    marked = re.sub(rf"(\\.)|{separator}", lambda found: found[1] or "\0", text, flags=re.DOTALL)
    return marked.split("\0")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


class _Kind(NamedTuple):
    """The arguments that Twisted accepts for one kind of endpoint.

    :param names: the names of the arguments, in the order of values without a name.
    :param example: a usable endpoint.
    """

    names: Sequence[str]
    example: str


_WITHOUT_KEY: Final = ("port", "interface", "backlog")
_TLS: Final = "port privateKey certKey sslmethod interface backlog extraCertChain dhParameters"
_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "tcp": _Kind(_WITHOUT_KEY, _EXAMPLE),
        "tcp6": _Kind(_WITHOUT_KEY, r"tcp6:8080:interface=\:\:1"),
        "ssl": _Kind(_TLS.split(), "ssl:8443:interface=127.0.0.1"),
        "unix": _Kind(("address", "mode", "backlog", "lockfile"), "unix:/run/wampush.sock"),
        "systemd": _Kind(("domain", "index", "name"), "systemd:domain=INET:name=wampush"),
    }
)


def arguments_of(parts: Parts) -> Mapping[str, str] | None:
    """Return the arguments of an endpoint by name; None for a kind that is not known here."""
    kind = _KINDS.get(parts.kind)
    if kind is None:
        return None
    return {**dict(zip(kind.names, parts.values, strict=False)), **parts.named}


def _is_port(text: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,5}", text)) and int(text) <= _HIGHEST_PORT


#: The form of a value by its name, as a function that recognises it and in words.
_FORMS: Final[Mapping[str, tuple[Callable[[str], object], str]]] = MappingProxyType(
    {
        "port": (_is_port, f"a whole number from 0 to {_HIGHEST_PORT}"),
        "backlog": (re.compile("[0-9]{1,9}").fullmatch, "a whole number"),
        "mode": (re.compile("[0-7]{1,4}").fullmatch, "an octal number such as 660"),
        "lockfile": (re.compile("[01]").fullmatch, "0 or 1"),
        # Twisted would change the mode of a UNIX socket of systemd, and remove its file at the end.
        "domain": (re.compile("INET6?").fullmatch, "INET or INET6 (for a UNIX socket use unix:)"),
        "index": (re.compile("[0-9]{1,4}").fullmatch, "a whole number"),
        "name": (bool, "the FileDescriptorName= of a .socket unit"),
        "address": (bool, "a path"),
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
    if parts.kind == "tcp" and len(parts.values) > 1:
        meant = _instead_of(":".join(parts.values[:2]))
        if meant is not None:
            return f"{meant}; the port comes first"
    if len(parts.values) > len(kind.names) or (parts.named and "" in parts.values):
        return (
            f"an endpoint such as {kind.example}; in an IPv6 address each colon has a backslash "
            r"before it, as in interface=\:\:1"
        )
    return _fault_of_arguments(parts, kind, is_inner)


def _fault_of_arguments(parts: Parts, kind: _Kind, is_inner: bool) -> str | None:
    unnamed = dict(zip(kind.names, parts.values, strict=False))
    for name in parts.named:
        if name not in kind.names:
            return f"an endpoint without {name!r}; {parts.kind}: takes {', '.join(kind.names)}"
        if name in unnamed:
            return f"an endpoint with one {name}, such as {kind.example}"
    # The first argument is required.
    values = {kind.names[0]: "", **unnamed, **parts.named}
    for name in (each for each in values if each in _FORMS):
        is_usable, words = _FORMS[name]
        if not is_usable(values[name]):
            return f"an endpoint whose {name} is {words}, such as {kind.example}"
    if parts.kind == "systemd" and ("index" in values) == ("name" in values):
        return f"an endpoint with either index or name, such as {kind.example}"
    if parts.kind != "ssl" or "privateKey" in values:
        return None
    if is_inner or values.keys() - set(_WITHOUT_KEY):
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


ENDPOINT: Final = converted(_FORM, _usable)
ENDPOINT_OR_OFF: Final = converted(
    f'{_FORM}, or "off"', lambda text: text if text == "off" else _usable(text)
)

ListenEndpoint = Annotated[str, ENDPOINT]
EndpointOrOff = Annotated[str, ENDPOINT_OR_OFF]
