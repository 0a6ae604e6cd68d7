"""The HTTP port of a server, as the subcommands use it.

Owns: the options for its URL and token, requests, and the reason in a response that refuses one.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson

from wampush.errors import OperatorError

if TYPE_CHECKING:
    from http.client import HTTPResponse

HTTP_URL: Final = "http://127.0.0.1:8081"
#: Bytes of a response that refuses a request.
MAX_RESPONSE: Final = 65_536


def mistake_in_url(url: str) -> str:
    """Return what is wrong with the URL of an HTTP port; "" if nothing is."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.query or parts.fragment:
        return f"--http must be a URL such as {HTTP_URL}, not {url!r}"
    return ""


def authorization(token_file: str | None) -> dict[str, str]:
    """Return the header with the token of a file; nothing without a file.

    :raises OperatorError: the file cannot be read.
    """
    if token_file is None:
        return {}
    try:
        token = Path(token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"cannot read the token in {token_file}: {error}") from error
    return {"Authorization": f"Bearer {token}"}


def request(
    url: str, headers: dict[str, str], timeout: float, body: bytes | None = None
) -> HTTPResponse:
    """Send a request, a POST if it has a body; proxies of the environment are not used.

    :param timeout: seconds without a byte from the server.
    :raises urllib.error.HTTPError: the status is not 200.
    :raises OSError: there is no response.
    :raises HTTPException: it is not HTTP.
    """
    # A proxy would rarely be meant: the port is for the server's own machine or network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    response: HTTPResponse = opener.open(
        urllib.request.Request(url, body, headers),  # noqa: S310
        timeout=timeout,
    )
    return response


def problem_of(error: OSError | HTTPException) -> str:
    """Return why :func:`request` failed, for people."""
    if isinstance(error, urllib.error.HTTPError):
        return _refusal(error)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    hint = "; is wampush running?" if isinstance(reason, ConnectionRefusedError) else ""
    return f"{str(reason) or type(reason).__name__}{hint}"


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        answer = orjson.loads(error.read(MAX_RESPONSE))
        return f"{answer['sentence']} {answer['detail']}".strip()
    except (OSError, HTTPException, orjson.JSONDecodeError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
