"""What all responses of the HTTP port have in common.

Owns: the forms of a response; the host that a request asks for, and its bearer token.
Must not import: anything of wampush but ``bearer``, ``errors`` and ``edges.problems``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from wampush.bearer import bearer_token
from wampush.edges.entity_tags import is_known
from wampush.edges.problems import PROBLEM_TYPE, RequestRefused, refused_input, status_of
from wampush.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.web.server import Request

    from wampush.edges.client_files import ClientFile
    from wampush.edges.topic_requests import Answer
    from wampush.errors import InputRefused

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
#: RFC 9110 section 7.2: host name, IPv4 address or bracketed IPv6 address, then perhaps a port.
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{0,5}})?")
_MAX_HOST_LENGTH = 260

_RETRY_SECONDS: Final = b"1"

_NO_ACCESS: Final = (
    'Send "Authorization: Bearer TOKEN" with the token of http.token_file. While that setting is '
    "empty, only requests from this machine to 127.0.0.1 or localhost are permitted."
)


def host_of(header: str) -> str | None:
    """Return the host of a Host header (RFC 9110 section 7.2), without its port.

    :returns: None when the header is not valid.
    """
    if len(header) > _MAX_HOST_LENGTH:
        return None
    match = _HOST.fullmatch(header)
    return match.group(1) if match else None


def host_asked_for(request: Request) -> str | None:
    """Return the host that a request asks for, without its port; None when it names none."""
    header = request.getHeader(b"host")
    return None if header is None else host_of(header.decode("latin-1"))


def wants_html(request: Request) -> bool:
    """Return whether a browser asks for a page."""
    accept = request.getHeader(b"accept")
    return accept is not None and b"text/html" in accept


def respond(request: Request, code: int, content_type: bytes, body: bytes) -> bytes:
    """Set the status and the headers of a response that must not be cached.

    :param code: the HTTP status.
    :param content_type: the value of Content-Type.
    :param body: the body, for its length.
    :returns: the body.
    """
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


def respond_file(request: Request, file: ClientFile) -> bytes:
    """Answer with a file that browsers may keep, or that they have it already."""
    for name, value in file.headers().items():
        request.setHeader(name.encode(), value.encode())
    if is_known(file.tag, (request.getHeader(b"if-none-match") or b"").decode("latin-1")):
        request.setResponseCode(304)
        return b""
    request.setHeader(b"Content-Length", b"%d" % len(file.content))
    return file.content


def respond_answer(request: Request, answer: Answer) -> bytes:
    """Answer about a topic."""
    request.setResponseCode(answer.status)
    for name, value in answer.headers.items():
        request.setHeader(name.encode(), value.encode())
    if answer.body:
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    return answer.body


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request; None when it carries none."""
    return bearer_token((request.getHeader(b"authorization") or b"").decode("latin-1"))


def challenge(request: Request) -> None:
    """Add the header that asks for a bearer token (RFC 6750 section 3)."""
    # A request without a token gets no error code (section 3.1).
    error = b"" if bearer(request) is None else b', error="invalid_token"'
    request.setHeader(b"WWW-Authenticate", b'Bearer realm="wampush"' + error)


def respond_problem(request: Request, error: RequestRefused) -> bytes:
    """Refuse a request, with problem details as JSON."""
    return _respond_problem(request, error.status, error.as_json())


def respond_no_access(request: Request) -> bytes:
    """Refuse a request that may not see state."""
    challenge(request)
    return respond_problem(request, RequestRefused(401, _NO_ACCESS, Refusal.NO_ACCESS.code))


def respond_refused(request: Request, error: InputRefused) -> bytes:
    """Refuse a request to change something, with the reason as JSON."""
    status = status_of(error.refusal)
    if status == 401:
        challenge(request)
    if status == 503:
        request.setHeader(b"Retry-After", _RETRY_SECONDS)
    return _respond_problem(request, status, refused_input(error))


def _respond_problem(request: Request, status: int, problem: Mapping[str, object]) -> bytes:
    return respond(request, status, PROBLEM_TYPE.encode(), orjson.dumps(problem) + b"\n")
