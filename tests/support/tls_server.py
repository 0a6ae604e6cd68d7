"""A TLS server in a thread, and connections to it from the reactor of the tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from tests.support.certificates import Certificate
from tests.support.waiting import PATIENCE

reactor: Any = installed


@contextlib.contextmanager
def tls_server(certificate: Certificate, answer: bytes) -> Iterator[int]:
    """Serve on loopback: the answer to each client that completes the handshake, then the end.

    :returns: the port.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            accepted.settimeout(PATIENCE)
            # The client refuses the certificate in most of the tests.
            with contextlib.suppress(OSError), context.wrap_socket(accepted, True) as secure:
                secure.recv(65_536)
                secure.sendall(answer)
                # Send close_notify without waiting for the client's.
                secure.settimeout(0)
                secure.unwrap()
            accepted.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextlib.contextmanager
def host_names() -> Iterator[None]:
    """Look up host names in threads, which only a reactor that runs would start."""
    before, reactor.threadpool = reactor.threadpool, ThreadPool(0, 2)
    reactor.threadpool.start()
    yield
    reactor.threadpool.stop()
    reactor.threadpool = before


def outcome_of(pending: Deferred[Any]) -> Any:
    """Run the reactor until there is a result, or a failure, which is returned as it is."""
    outcome: list[Any] = []
    pending.addBoth(outcome.append)
    deadline = time.monotonic() + PATIENCE
    while not outcome:
        assert time.monotonic() < deadline
        reactor.iterate(0.01)
    return outcome[0]


def problem_in(outcome: Any) -> BaseException | None:
    """Return why a connection failed; None if it did not."""
    value = outcome.value if isinstance(outcome, Failure) else None
    reasons = getattr(value, "reasons", None)
    while reasons:
        value = reasons[0].value
        reasons = getattr(value, "reasons", None)
    return value
