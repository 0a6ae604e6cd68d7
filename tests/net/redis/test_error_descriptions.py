"""What is wrong with Redis is described without repeating a secret."""

from __future__ import annotations

import errno

import pytest
from OpenSSL import SSL
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    NoRouteError,
)
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from wampush.net.redis.error_descriptions import (
    is_unreachable,
    problem_of_error_reply,
    problem_of_failure,
)

SECRET = "correct horse"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            "wrong user or password",
        ),
        ("ERR invalid password", "wrong password"),
        ("NOAUTH Authentication required.", "Redis requires a password, but none is set here"),
        (
            "ERR AUTH <password> called without any password configured for the default user. Are",
            "Redis has no password, but one is set here",
        ),
        (
            "ERR Client sent AUTH, but no password is set",
            "Redis has no password, but one is set here",
        ),
        (
            "ERR max number of clients reached",
            "Redis has reached its maximum number of clients",
        ),
        (
            "DENIED Redis is running in protected mode because protected mode is enabled",
            "Redis is in protected mode, which refuses connections from other machines",
        ),
        (
            "NOPERM this user has no permissions to access one of the channels used as arguments",
            "the access control list of Redis does not let this user use all channels",
        ),
        (
            "NOPERM No permissions to access a key",
            "the access control list of Redis does not let this user use all keys",
        ),
        (
            "NOPERM User live has no permissions to run the 'publish' command",
            "the access control list of Redis does not let this user run PUBLISH",
        ),
        ("ERR DB index is out of range", "Redis has no database with the number in the URL"),
        (
            "ERR user_script:31: not a number script: f1, on @user_script:31.",
            "a script failed: 'user_script:31: not a number'",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            "Redis has reached its maxmemory; give it more",
        ),
        (
            f"ERR unknown command 'AUTH', with args beginning with: '{SECRET}'",
            "Redis answered with error ERR",
        ),
        (f"WEIRD {SECRET}", "Redis answered with error WEIRD"),
        (SECRET, "Redis answered with an error"),
    ],
)
def test_an_error_reply_is_explained_and_not_repeated(answer: str, problem: str) -> None:
    assert problem_of_error_reply(answer) == problem
    assert not is_unreachable(problem)


@pytest.mark.parametrize(
    ("error", "problem", "unreachable"),
    [
        (RefusedByPeer(), "connection refused (is Redis running?)", True),
        (DNSLookupError(), "unknown host name", True),
        (ConnectTimeout(), "the connection attempt timed out", True),
        (ConnectionDone(), "Redis closed the connection", True),
        (ConnectionLost(), "the connection was lost", True),
        (
            NoRouteError(113, "No route to host"),
            "the connection failed (NoRouteError, error 113)",
            True,
        ),
        (ValueError(), "the connection failed (ValueError)", True),
        (
            SSL.Error([("SSL routines", "", "certificate verify failed")]),
            "TLS failed: 'certificate verify failed'",
            False,
        ),
        (SSL.Error(), "TLS failed (does Redis speak TLS on this port?)", False),
        (SSL.Error([]), "TLS failed (does Redis speak TLS on this port?)", False),
    ],
)
def test_a_failed_connection_is_explained(
    error: Exception, problem: str, unreachable: bool
) -> None:
    assert problem_of_failure(Failure(error)) == problem
    assert is_unreachable(problem) is unreachable


@pytest.mark.parametrize(
    ("number", "words", "unreachable"),
    [
        (errno.ENOENT, "there is no socket with this path (is Redis running?)", True),
        (errno.EACCES, "permission denied: the user of wampush must be in the group", False),
    ],
)
def test_errors_of_unix_sockets(number: int, words: str, unreachable: bool) -> None:
    problem = problem_of_failure(Failure(ConnectError(number, "x")))
    assert problem.startswith(words)
    assert is_unreachable(problem) is unreachable
