"""Requests over HTTP: what a server may send back, and when its connection ends."""

from __future__ import annotations

from typing import Any, cast

import pytest
from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.error import ConnectionDone, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.support.certificates import OWN_NAMES, make_certificate
from tests.support.tls_server import host_names, outcome_of, reactor, tls_server
from wampush.net.http_post import (
    CLOSE_SECONDS,
    MOST_BYTES,
    MOST_RECEIVED,
    HttpPost,
    HttpResponse,
    ResponseTooLong,
    UnusableResponse,
    cookie_header,
    never_sent,
    not_json,
    problem_of,
    server_responded,
)

URL = "http://127.0.0.1:1/hooks"
GONE = Failure(ConnectionDone())
UNTRUSTED = "certificate verify failed: no authority that this system trusts"
TOO_LONG = f"the response is longer than {MOST_BYTES} bytes"


class Server:
    """A web application that has got one request."""

    def __init__(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.outcome: list[Any] = []
        self.request = HttpPost(self.reactor, URL)(b"{}", b"", {"X-More": "1"})
        self.request.addCallback(self.outcome.append)
        self.request.addErrback(self.outcome.append)
        (_, _, factory, _, _) = self.reactor.tcpClients[0]
        self.client = client = cast("Any", factory.buildProtocol(None))
        # It goes on when it is closed, as TLS does until the server closes its side.
        self.transport: Any = StringTransport()
        client.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        # As a transport does: in pieces of 64 KiB, as long as there is a connection.
        while data and not self.transport.disconnected:
            self.client.dataReceived(data[:65536])
            data = data[65536:]

    def problem(self) -> str:
        (failure,) = self.outcome
        return problem_of(failure)


def test_a_request_and_its_response():
    server = Server()
    head, _, body = server.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hooks HTTP/1.1\r\n")
    assert {b"X-More: 1", b"Connection: close"} <= set(head.split(b"\r\n"))
    assert body == b"{}"
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
    assert server.outcome == [HttpResponse(200, b"[]")]
    assert server.transport.disconnecting


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: y\r\n", b" z\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["header", "continued header", "interim answers", "body", "chunks"],
)
def test_every_part_of_a_response_is_limited(beginning, piece):
    server = Server()
    server.send(beginning + piece * (MOST_RECEIVED // len(piece) + 1))
    assert server.problem() == TOO_LONG
    assert server.transport.disconnected


def test_a_body_as_long_as_may_be():
    server = Server()
    server.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MOST_BYTES)
    server.client.connectionLost(GONE)
    assert server.outcome == [HttpResponse(200, b"x" * MOST_BYTES)]


def test_interim_responses_are_not_logged():
    lines: list[Any] = []
    observer: Any = lines.append
    globalLogPublisher.addObserver(observer)
    try:
        server = Server()
        server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + b"HTTP/1.1 204 No Content\r\n\r\n")
    finally:
        globalLogPublisher.removeObserver(observer)
    assert server.outcome == [HttpResponse(204, b"")]
    assert lines == []


@pytest.mark.parametrize("came", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_cancelling_a_request_drops_its_connection(came):
    server = Server()
    server.send(came)
    server.request.cancel()
    assert server.problem() == "no response in time"
    assert server.transport.disconnected


def test_bytes_after_a_response_are_ignored():
    server = Server()
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]" + b"x" * 10 * MOST_RECEIVED)
    assert server.outcome == [HttpResponse(200, b"[]")]
    assert not server.transport.disconnected


def test_a_server_that_does_not_close_its_side_is_left():
    server = Server()
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
    server.reactor.advance(CLOSE_SECONDS - 0.1)
    assert not server.transport.disconnected
    server.reactor.advance(0.1)
    assert server.transport.disconnected


def test_nothing_is_left_of_a_connection_that_has_ended():
    server = Server()
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
    server.client.connectionLost(GONE)
    assert server.reactor.getDelayedCalls() == []


def tls_error(text):
    return SSL.Error([("SSL routines", "", text)])


def test_too_long_says_so_whatever_wraps_it():
    server = Server()
    server.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_BYTES + 1))
    (failure,) = server.outcome
    assert failure.check(ResponseTooLong)


@pytest.mark.parametrize(
    ("error", "problem", "is_sent", "responded"),
    [
        (RefusedByPeer(), "the connection was refused", False, False),
        (DNSLookupError(), "unknown host name", False, False),
        (ConnectTimeout(), "the connection attempt timed out", False, False),
        (DeferTimeout(), "no response in time", True, False),
        (tls_error("certificate verify failed"), UNTRUSTED, True, False),
        (
            tls_error("wrong version number"),
            "the server does not",
            True,
            False,
        ),
        (tls_error("no protocols"), "TLS: no protocols", True, False),
        (VerificationError(errors=[]), "the certificate is for another name", True, False),
        (CertificateError(), "the certificate of the server has no", True, False),
        (RuntimeError("secret"), "the request failed (RuntimeError)", True, False),
        (ResponseTooLong(), TOO_LONG, True, True),
        (UnusableResponse("unexpected status 404", 404), "unexpected status 404", True, True),
        (UnusableResponse("unexpected status 503", 503), "unexpected status 503", True, False),
    ],
)
def test_what_a_failure_says(error, problem, is_sent, responded):
    failure = Failure(error)
    assert problem_of(failure).startswith(problem)
    assert "secret" not in problem_of(failure)
    assert never_sent(failure) is not is_sent
    assert server_responded(failure) is responded


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b" \n", "the response is empty"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        (b" <br />Warning", "it looks like HTML"),
        (b"secret", "the response is not JSON"),
    ],
)
def test_why_a_body_is_not_json(body, problem):
    assert problem in not_json(body)
    assert "secret" not in not_json(body)


def test_cookies_are_sent_as_they_came():
    assert cookie_header({"PHPSESSID": "s1", "theme": "d\xe4rk"}) == b"PHPSESSID=s1; theme=d\xe4rk"
    assert cookie_header({"a": "\u20ac"}) == b"a=?"
    assert cookie_header({}) == b""


def test_a_cookie_header():
    reactor: Any = MemoryReactorClock()
    HttpPost(reactor, URL)(b"{}", b"a=1")
    client = cast("Any", reactor.tcpClients[0][2].buildProtocol(None))
    transport: Any = StringTransport()
    client.makeConnection(transport)
    assert b"Cookie: a=1\r\n" in transport.value()


@pytest.mark.parametrize(
    ("host", "names", "said"),
    [
        ("localhost", OWN_NAMES, None),
        ("127.0.0.1", OWN_NAMES, None),
        ("localhost", (x509.DNSName("example.org"),), "the certificate is for another name"),
        ("localhost", (), "the certificate of the server has no subjectAltName"),
        ("127.0.0.1", (), "the certificate of the server has no subjectAltName"),
    ],
)
def test_requests_go_to_servers_with_a_certificate_for_the_host(
    tmp_path, monkeypatch, host, names, said
):
    certificate = make_certificate(tmp_path, "localhost", names=names)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with host_names(), tls_server(certificate, b"HTTP/1.1 204 No Content\r\n\r\n") as port:
        outcome = outcome_of(HttpPost(reactor, f"https://{host}:{port}/hooks")(b"{}"))
    if said is None:
        assert outcome == HttpResponse(204, b"")
    else:
        assert problem_of(outcome).startswith(said)
