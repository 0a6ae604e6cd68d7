"""Descriptions of what is wrong with a Redis server, for operators.

Owns: these descriptions, which never contain a secret.
Must not import: the broker, the edges.

Redis repeats the arguments of commands that it does not know, and ``AUTH`` may be renamed there. So
of an answer to a login only the code is repeated, which is one word in capitals.
"""

from __future__ import annotations

import re
from errno import EACCES, ENOENT
from typing import Any, Final

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from wampush.errors import BackendError, OperatorError
from wampush.excerpts import shown


class SentinelProblem(BackendError):
    """A sentinel cannot say which server is the master; the message says why."""


_CODE: Final = re.compile(r"[A-Z]{1,20}\b")
_NOT_PROTECTED: Final = "Redis has no password, but one is set here"
_ERROR_REPLIES: Final = (
    ("WRONGPASS", "wrong user or password"),
    ("ERR invalid password", "wrong password"),
    ("NOAUTH", "Redis requires a password, but none is set here"),
    ("DENIED", "Redis is in protected mode, which refuses connections from other machines"),
    ("ERR AUTH <password> called without any password", _NOT_PROTECTED),
    ("ERR Client sent AUTH, but no password is set", _NOT_PROTECTED),
    ("ERR max number of clients reached", "Redis has reached its maximum number of clients"),
    ("ERR DB index is out of range", "Redis has no database with the number in the URL"),
    ("LOADING", "Redis is still loading its data"),
    ("READONLY", "it is a replica, which takes no writes"),
    ("OOM", "Redis has reached its maxmemory; give it more"),
    (
        "MISCONF",
        "Redis cannot save its data, and takes no writes until it can (is the disk full?)",
    ),
    (
        "WRONGTYPE",
        "a key is not of the kind that wampush makes; something else writes keys with this prefix",
    ),
)
_COMMAND: Final = re.compile(r"NOPERM .* run the '([a-z|]{1,30})' command")
#: What Redis appends to the error of a command in a script.
_IN_SCRIPT: Final = " script: "
_LACKS: Final = "the access control list of Redis does not let this user"
_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (RefusedByPeer, "connection refused (is Redis running?)"),
    (DNSLookupError, "unknown host name"),
    (ConnectTimeout, "the connection attempt timed out"),
    (ConnectionDone, "Redis closed the connection"),
    (ConnectionLost, "the connection was lost"),
)
_NO_SOCKET: Final = "there is no socket with this path (is Redis running?)"
_SYSTEM_ERRORS: Final = {
    ENOENT: _NO_SOCKET,
    EACCES: "permission denied: the user of wampush must be in the group of the socket",
}
_UNTRUSTED: Final[tuple[tuple[type[Exception], str], ...]] = (
    (CertificateError, "the certificate of the server has no subjectAltName"),
    (
        VerificationError,
        "the certificate of the server is for another name; the URL must have a name of it",
    ),
)
_FAILED: Final = "the connection failed"
_AWAY: Final = frozenset(problem for _, problem in _FAILURES)


def is_unreachable(problem: str) -> bool:
    """Return whether a problem means that Redis is not reachable, whatever the settings here."""
    return problem in _AWAY or problem == _NO_SOCKET or problem.startswith(_FAILED)


def problem_of_error_reply(text: str) -> str:
    """Return what an error that Redis answered means.

    :param text: the error; begins with a code.
    """
    for beginning, problem in _ERROR_REPLIES:
        if text.startswith(beginning):
            return problem
    if text.startswith("NOPERM"):
        return f"{_LACKS} {_not_permitted(text)}"
    if text.startswith("ERR ") and _IN_SCRIPT in text:
        # It has nothing that was sent, such as a password.
        return f"a script failed: {shown(text.partition(_IN_SCRIPT)[0].removeprefix('ERR '))}"
    code = _CODE.match(text)
    return f"Redis answered with error {code[0]}" if code else "Redis answered with an error"


def _not_permitted(text: str) -> str:
    command = _COMMAND.match(text)
    if command is not None:
        return f"run {command[1].upper()}"
    return "use all keys" if " key" in text else "use all channels"


def problem_of_failure(failure: Failure) -> str:
    """Return why there is no connection, or why it ended."""
    value: Any = failure.value
    if isinstance(value, SentinelProblem | OperatorError):
        return str(value)
    for kind, problem in _FAILURES + _UNTRUSTED:
        if isinstance(value, kind):
            return problem
    if isinstance(value, SSL.Error):
        return f"TLS failed{_why(value)}"
    number = getattr(value, "osError", None) or getattr(value, "errno", None)
    if number in _SYSTEM_ERRORS:
        return _SYSTEM_ERRORS[number]
    more = f", error {number}" if isinstance(number, int) else ""
    return f"{_FAILED} ({type(value).__name__}{more})"


def _why(error: SSL.Error) -> str:
    """Return the last reason that OpenSSL gives, such as "certificate verify failed"."""
    queue = error.args[0] if error.args else ()
    last = queue[-1][-1] if isinstance(queue, list | tuple) and queue and queue[-1] else ""
    return f": {shown(last)}" if last else " (does Redis speak TLS on this port?)"
