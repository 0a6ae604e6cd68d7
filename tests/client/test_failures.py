"""Why there is no WebSocket: the words for it."""

from __future__ import annotations

import pytest
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost

from wampush.client import failures

PLAIN = b"HTTP/1.1 %d X\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s"
OF_TLS = "the server speaks TLS on this port; write wss://"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\n", 401),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", 200),
        (b"HTTP/1.1 503", 503),
        (b"HTTP/1.1 ", None),
        (b"", None),
        (b"\xff\x00", None),
    ],
)
def test_the_status_of_an_answer(answer: bytes, status: int | None) -> None:
    assert failures.status_of(answer) == status


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            PLAIN % (403, b"Not today.\nMore.\n"),
            "the server refused the WebSocket [403]: Not today.",
        ),
        (PLAIN % (400, b""), "no WebSocket [400]: X; this port speaks HTTP, not WebSocket; "),
        (PLAIN % (400, b"\x1b[31mred"), "no WebSocket [400]: X; "),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "no WebSocket [200]: OK; this port speaks HTTP, "),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "no WebSocket [404]: Not Found; this port speaks "),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "the server refused the WebSocket [401]: Unauth"),
        (b"HTTP/1.1 403\r\n\r\n", "the server refused the WebSocket [403]"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "no WebSocket [502]: Bad Gateway"),
        (b"HTTP/1.1 200 \x1b[31m\r\n\r\n", "no WebSocket [200]; "),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "why"),
        (b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n", OF_TLS),
        (b"SSH-2.0\r\n\r\n", "why"),
    ],
)
def test_an_answer_that_opens_none(answer: bytes, words: str) -> None:
    assert failures.refusal(answer, "why").startswith(words)
    assert failures.refusal(answer, "why").isprintable()


def tls_error(*words: str) -> SSL.Error:
    return SSL.Error([("SSL routines", "", each) for each in words])


@pytest.mark.parametrize(
    ("answer", "error", "secure", "words"),
    [
        (b"", ConnectionDone(), False, "without a response; is it a WebSocket server with TLS"),
        (b"", ConnectionLost(), True, "without a response; is it a WebSocket server without TLS"),
        (b"\x15\x03\x03", ConnectionDone(), False, OF_TLS),
        (b"\xff\x00\x00", ConnectionDone(), False, "is not a WebSocket server"),
        (b"", tls_error("wrong version number"), True, "wrong version number; if this port does"),
        (b"", tls_error("a", "certificate verify failed"), True, "not trusted: certificate veri"),
        (b"", tls_error(), True, "TLS failed: no reason given"),
        (b"", SSL.Error(), True, "TLS failed: no reason given"),
        (b"", CertificateError(), True, "not trusted: it has no subjectAltName"),
        (b"", VerificationError([]), True, "not trusted: it is for another host name"),
    ],
)
def test_an_end_without_an_answer(
    answer: bytes, error: BaseException, secure: bool, words: str
) -> None:
    found = failures.loss(answer, error, secure)
    assert found is not None
    assert words in found


def test_half_an_answer_says_it_by_itself() -> None:
    assert failures.loss(b"HTTP/1.1 1", ConnectionDone(), False) is None
