"""Explanations of failed connections, for the person who chose the address.

Owns: what a response that does not open a WebSocket means, and the most likely mistake.
Must not import: anything of wampush, Twisted or Autobahn. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError

_STATUS_LINE: Final = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?")
#: The start of a TLS alert (RFC 8446 section 5.1), which a TLS server sends to plain clients.
_TLS_ALERT: Final = b"\x15\x03"
#: Bytes of a refusal that are shown.
_SHOWN_BYTES: Final = 400
_SWITCHING: Final = 101
_REFUSED: Final = (401, 403)
_SERVER_ERROR: Final = 500

_NOT_WEBSOCKET: Final = (
    "this port speaks HTTP, not WebSocket; wampush serves WebSocket on port 8080, unless "
    "websocket.listen says otherwise"
)


def status_of(answer: bytes) -> int | None:
    """Return the HTTP status of the response to a handshake; None if it has none yet."""
    found = _STATUS_LINE.match(answer)
    return int(found[1]) if found else None


def refusal(answer: bytes, reason: str) -> str:
    """Explain a response that does not open a WebSocket.

    :param answer: as much of the response as has arrived.
    :param reason: what is wrong with it according to RFC 6455.
    """
    found = _STATUS_LINE.match(answer)
    if found is None or int(found[1]) == _SWITCHING:
        return "the server speaks TLS on this port; write wss://" if _is_alert(answer) else reason
    status, said = int(found[1]), _plain_text(answer)
    if said:
        return f"the server refused the WebSocket [{status}]: {said}"
    phrase = (found[2] or b"").decode("latin-1").strip()
    shown = f"[{status}]: {phrase}" if phrase.isprintable() and phrase else f"[{status}]"
    if status in _REFUSED:
        return f"the server refused the WebSocket {shown}"
    if status >= _SERVER_ERROR:
        return f"no WebSocket {shown}"
    return f"no WebSocket {shown}; {_NOT_WEBSOCKET}"


def loss(answer: bytes, error: BaseException | None, secure: bool) -> str | None:
    """Explain a connection that ended before the handshake was answered.

    :param answer: as much of a response as had arrived.
    :param error: how the connection ended.
    :param secure: whether the URL is wss://.
    :returns: None if the reason of the end explains itself.
    """
    if isinstance(error, SSL.Error):
        return _tls_failure(error)
    if isinstance(error, CertificateError):
        return "the certificate of the server is not trusted: it has no subjectAltName"
    if isinstance(error, VerificationError):
        return "the certificate of the server is not trusted: it is for another host name"
    if _is_alert(answer):
        return "the server speaks TLS on this port; write wss://"
    if answer:
        half = answer.startswith(b"HTTP/")
        return None if half else "the server at this address is not a WebSocket server"
    other = "without TLS (ws://)" if secure else "with TLS (wss://)"
    return f"the server closed the connection without a response; is it a WebSocket server {other}?"


def _is_alert(answer: bytes) -> bool:
    return answer.startswith(_TLS_ALERT)


def _tls_failure(error: SSL.Error) -> str:
    # A list of (library, function, reason); the last entry is the cause.
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    words = entries[-1][-1] if entries else "no reason given"
    if "certificate" in words:
        return f"the certificate of the server is not trusted: {words}"
    return f"TLS failed: {words}; if this port does not use TLS, write ws://"


def _plain_text(answer: bytes) -> str:
    """Return the first line of a text/plain response if it is printable, else ""."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"\ncontent-type: text/plain" not in head.lower():
        return ""
    line = body[:_SHOWN_BYTES].decode(errors="replace").strip().partition("\n")[0].strip()
    return line if line.isprintable() else ""
