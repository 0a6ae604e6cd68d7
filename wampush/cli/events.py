"""``wampush listen --all``: the publications of a node, read from its HTTP port.

Owns: the lines of the stream, and the attempts to open it. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import time
import urllib.error
from http.client import HTTPException
from typing import TYPE_CHECKING, Final, NoReturn

import orjson

from wampush.cli import http_port
from wampush.cli.support import complain
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

#: HTTP statuses that trying again would not change.
_PERMANENT: Final = (401, 403, 404)
#: The WebSocket port has event streams, too, but only of topics that are named.
_OF_OTHER_PORT: Final = 400
#: Seconds without a byte; the server sends an empty line every 20 s.
_SILENCE: Final = 60.0
_TYPE: Final = "application/x-ndjson"
_FIRST_DELAY: Final = 0.75
_MAX_DELAY: Final = 10.0
_EMPTY_LINE: Final = len(b'{"topic":,"payload":')


class _Reporter:
    """Reports a problem once, however many attempts meet it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._problem = ""
        self._delay = _FIRST_DELAY

    def on_open(self) -> None:
        """Report that the stream has begun."""
        complain(f"connected to {self._base}")
        self._problem, self._delay = "", _FIRST_DELAY

    def on_problem(self, problem: str) -> float:
        """Report it; return the seconds until the next attempt."""
        delay, self._delay = self._delay, min(self._delay * 2, _MAX_DELAY)
        if problem != self._problem:
            complain(f"{problem}; next try in {delay:.1f} s")
        self._problem = problem
        return delay


def follow(url: str, token_file: str | None, on_event: Callable[[str, bytes], None]) -> NoReturn:
    """Read publications until the process is interrupted; reconnect after every loss.

    :param url: of the HTTP port.
    :param token_file: with the port's token; None if it has none.
    :param on_event: gets topic and payload; its exceptions end this.
    :raises OperatorError: the server refuses, or is not wampush; or the file cannot be read.
    """
    base = url.rstrip("/")
    headers = http_port.authorization(token_file)
    reporter = _Reporter(base)
    while True:
        try:
            response = http_port.request(f"{base}/events", headers, _SILENCE)
        except (OSError, HTTPException) as error:
            problem = http_port.problem_of(error)
            status = error.code if isinstance(error, urllib.error.HTTPError) else None
            if status == _OF_OTHER_PORT:
                raise OperatorError(f"{base} is not the HTTP port of wampush") from error
            if status in _PERMANENT:
                raise OperatorError(f"{base} refused: {problem}") from error
        else:
            with response:
                if response.headers.get_content_type() != _TYPE:
                    raise OperatorError(f"{base} is not the HTTP port of wampush")
                reporter.on_open()
                problem = _read(response, on_event)
        time.sleep(reporter.on_problem(problem))


def _read(response: HTTPResponse, on_event: Callable[[str, bytes], None]) -> str:
    """Read lines until the connection ends; return why it did."""
    while True:
        try:
            line = response.readline()
        except (OSError, HTTPException) as error:
            return f"the connection was lost: {http_port.problem_of(error)}"
        if not line.endswith(b"\n"):
            return "the server closed the connection"
        if line != b"\n":
            _on_line(line, on_event)


def _on_line(line: bytes, on_event: Callable[[str, bytes], None]) -> None:
    entry = orjson.loads(line)
    if "dropped" in entry:
        complain(f"{entry['dropped']} events are missing here, because they were read too slowly")
        return
    topic = entry["topic"]
    # The text of the payload as it stands there: reading and writing it would change numbers.
    on_event(topic, line[_EMPTY_LINE + len(orjson.dumps(topic)) : -2])
