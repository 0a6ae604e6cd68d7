"""Log lines about requests to a server.

Owns: the wording and the rate of these lines.
Must not import: the edges, the apps, the broker.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from wampush.log_limit import LogLimiter


class RequestLog:
    """Logs what becomes of requests to one URL; single failures at most once per second.

    :param log: where to.
    :param service: what sends the requests, ``webhooks`` for example.
    :param url: of the server.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(self, log: Logger, service: str, url: str, now: Callable[[], float]) -> None:
        self._log = log
        self._service = service
        self._url = url
        self._limiter = LogLimiter(now)

    def failed(self, kind: str, problem: str) -> None:
        """Log the failure of one request.

        :param kind: of request; empty where there is only one.
        :param problem: contains nothing that was sent or received.
        """
        suffix = self._limiter.suffix()
        if suffix is not None:
            self._log.warn(
                "{service} {url}: {subject}{problem}{suffix}",
                service=self._service,
                url=self._url,
                subject=_subject(kind),
                problem=problem,
                suffix=suffix,
            )

    def held_back(self, kind: str, failures: int, seconds: float) -> None:
        """Log that a client's requests are not sent because they keep failing.

        :param failures: in a row.
        :param seconds: for how long.
        """
        suffix = self._limiter.suffix("held back")
        if suffix is not None:
            self.problem(
                kind,
                f"{failures} failures in a row of one client; refusing its requests for "
                f"{seconds:g} s{suffix}",
            )

    def recovered(self, kind: str) -> None:
        """Log that the server responds again to this kind of request."""
        self._log.info(
            "{service} {url}: {subject}responding again",
            service=self._service,
            url=self._url,
            subject=_subject(kind),
        )

    def problem(self, kind: str, problem: str) -> None:
        """Log a problem, however many lines there were before."""
        self._log.warn(
            "{service} {url}: {subject}{problem}",
            service=self._service,
            url=self._url,
            subject=_subject(kind),
            problem=problem,
        )


def _subject(kind: str) -> str:
    return f"{kind}: " if kind else ""
