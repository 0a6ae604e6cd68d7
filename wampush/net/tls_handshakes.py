"""TLS handshakes that fail.

Owns: their count, and the log line about them.
Must not import: the broker, the edges.
"""

from __future__ import annotations

from time import monotonic
from types import MappingProxyType
from typing import Final

from OpenSSL import SSL
from twisted.logger import Logger

from wampush.log_limit import LogLimiter

_log = Logger(namespace="wampush.net")

#: What an operator can make of OpenSSL's words, which follow in parentheses.
_EXPLANATIONS: Final = MappingProxyType(
    {
        "http request": "the client sent plain HTTP; clients of this port use https:// or wss://",
        "wrong version number": "the client does not speak TLS",
        "unsupported protocol": "the client supports versions below tls.minimum_version only",
        "no shared cipher": "the client supports none of tls.ciphers",
        "unknown ca": "the client does not trust the authority of tls.certificate",
        "bad certificate": "the client does not accept tls.certificate",
        "certificate unknown": "the client does not accept tls.certificate",
        "certificate expired": "the client says that tls.certificate has expired",
        "peer did not return a certificate": "the client sent no certificate",
        "certificate verify failed": "the client's certificate is not from tls.client_ca",
    }
)


class FailedHandshakes:
    """Counts the handshakes that failed and logs one of a kind per second.

    Clients that connect and leave without a word are not counted: health checks of load balancers
    do that.
    """

    def __init__(self) -> None:
        self.count = 0
        self._limiter = LogLimiter(monotonic)

    def add(self, peer: object, error: SSL.Error) -> None:
        """Count a handshake.

        :param peer: the address of the client.
        :param error: what OpenSSL has found.
        """
        self.count += 1
        problem = problem_of(error)
        suffix = self._limiter.suffix(problem)
        if suffix is not None:
            host, port = getattr(peer, "host", "an unknown address"), getattr(peer, "port", 0)
            _log.info(
                "TLS: handshake with {host}:{port} failed: {problem}{suffix}",
                host=host,
                port=port,
                problem=problem,
                suffix=suffix,
            )


def problem_of(error: SSL.Error) -> str:
    """Return what is wrong with a handshake, in our words if there are any, and in OpenSSL's."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = str(queue[-1][2]) if queue else "no reason given"
    for words, explanation in _EXPLANATIONS.items():
        if words in reason:
            return f"{explanation} ({reason})"
    return reason
