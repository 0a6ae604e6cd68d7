"""What is wrong with a Redis, in words for whoever runs it.

Owns: these words, and that no secret gets into them.
Must not import: the broker.

Redis repeats arguments of commands that it does not know, and ``AUTH`` may be renamed there. So
nothing of an answer to a login is repeated but its code, which is one word in capitals.
"""

from __future__ import annotations

import re
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from wampush.errors import shown

_CODE: Final = re.compile(r"[A-Z]{1,20}\b")
_ANSWERS: Final = (
    ("WRONGPASS", "user or password is wrong"),
    ("ERR invalid password", "the password is wrong"),
    ("NOAUTH", "it wants a password, and none is set here"),
    ("DENIED", "it is in protected mode, which lets in nobody from another machine"),
    ("ERR AUTH <password> called without any password", "it has no password; one is set here"),
    ("ERR Client sent AUTH, but no password is set", "it has no password; one is set here"),
    ("ERR max number of clients reached", "it has as many clients as it takes"),
    ("NOPERM", "its access control list does not let this user subscribe to all of the channels"),
)
_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (RefusedByPeer, "it refuses connections (is Redis running?)"),
    (DNSLookupError, "its host name is unknown"),
    (ConnectTimeout, "the connection takes too long"),
    (ConnectionDone, "it closed the connection"),
    (ConnectionLost, "the connection was lost"),
)


_FAILED: Final = "the connection failed"
_AWAY: Final = frozenset(problem for _, problem in _FAILURES)


def is_absence(problem: str) -> bool:
    """Whether Redis is just not there, so that nobody here can mend it."""
    return problem in _AWAY or problem.startswith(_FAILED)


def of_answer(text: str) -> str:
    """What an error that Redis answered means.

    :param text: beginning with a code.
    """
    for beginning, problem in _ANSWERS:
        if text.startswith(beginning):
            return problem
    code = _CODE.match(text)
    return f"it answered with error {code[0]}" if code else "it answered with an error"


def of_failure(failure: Failure) -> str:
    """Why there is no connection, or no more."""
    value: Any = failure.value
    for kind, problem in _FAILURES:
        if isinstance(value, kind):
            return problem
    if isinstance(value, SSL.Error):
        return f"TLS failed{_why(value)}"
    number = getattr(value, "osError", None) or getattr(value, "errno", None)
    more = f", error {number}" if isinstance(number, int) else ""
    return f"{_FAILED} ({type(value).__name__}{more})"


def _why(error: SSL.Error) -> str:
    """The last word of OpenSSL, such as "certificate verify failed"."""
    queue = error.args[0] if error.args else ()
    last = queue[-1][-1] if isinstance(queue, list | tuple) and queue and queue[-1] else ""
    return f": {shown(last)}" if last else " (does it speak TLS at this port?)"
