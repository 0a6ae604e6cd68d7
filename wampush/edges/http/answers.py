"""What every answer of the HTTP port has in common.

Owns: the forms of an answer; the host that a request asks for, and the token that it bears.
Must not import: anything of wampush but ``bearer``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from wampush.bearer import bearer_token

if TYPE_CHECKING:
    from twisted.web.server import Request

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#: RFC 9110 section 7.2: host name, IPv4 address or bracketed IPv6 address, then perhaps a port.
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{0,5}})?")
_MAX_HOST_LENGTH = 260

_NO_ACCESS_TEXT = """\
This needs "Authorization: Bearer TOKEN" with the token of http.token_file. Where none is set, only
requests of this machine itself to 127.0.0.1 or localhost are answered.
"""


def host_of(header: str) -> str | None:
    """The host of a Host header without its port, or None when it is not valid (RFC 9110, 7.2)."""
    if len(header) > _MAX_HOST_LENGTH:
        return None
    match = _HOST.fullmatch(header)
    return match.group(1) if match else None


def host_asked_for(request: Request) -> str | None:
    """The host that a request asks for, without its port; None when it names none."""
    header = request.getHeader(b"host")
    return None if header is None else host_of(header.decode("latin-1"))


def wants_html(request: Request) -> bool:
    """Whether a browser asks for a page."""
    accept = request.getHeader(b"accept")
    return accept is not None and b"text/html" in accept


def respond(request: Request, code: int, content_type: bytes, body: bytes) -> bytes:
    """Set status and type of an answer that is made anew for each request; the body again."""
    request.setResponseCode(code)
    request.setHeader(b"Content-Type", content_type)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.setHeader(b"Cache-Control", b"no-store")
    return body


def respond_text(request: Request, code: int, text: str) -> bytes:
    """Answer with plain text."""
    return respond(request, code, b"text/plain; charset=utf-8", text.encode())


def respond_json(request: Request, code: int, value: object) -> bytes:
    """Answer with JSON."""
    return respond(request, code, b"application/json", orjson.dumps(value) + b"\n")


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request; None when it carries none."""
    return bearer_token((request.getHeader(b"authorization") or b"").decode("latin-1"))


def challenge(request: Request) -> None:
    """Tell in the answer how to get in (RFC 6750 section 3)."""
    # Without a token there is no error to tell of, as section 3.1 says.
    error = b"" if bearer(request) is None else b', error="invalid_token"'
    request.setHeader(b"WWW-Authenticate", b'Bearer realm="wampush"' + error)


def respond_no_access(request: Request) -> bytes:
    """Answer to who may not see state."""
    challenge(request)
    return respond_text(request, 401, _NO_ACCESS_TEXT)
