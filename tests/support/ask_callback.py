"""Asks a web application who some cookies belong to, and prints each answer as a line of JSON.

Run as ``python -m tests.support.ask_callback URL TIMEOUT COOKIE…``; a process of its own, because
HTTP needs a running reactor.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.tables.identity import CallbackSettings
from wampush.edges.auth.callback import Callback
from wampush.errors import AuthenticationRefused
from wampush.net.http_post import HttpPost


async def ask_all(callback: Callback, cookies: list[str]) -> None:
    for cookie in cookies:
        request = ConnectRequest("/", {"cookie": cookie}, "127.0.0.1")
        outcome: object = None
        try:
            identity = await callback.identify(request)
        except AuthenticationRefused as error:
            outcome = error.reason.code
        else:
            if identity is not None:
                outcome = {
                    "user": identity.user,
                    "groups": sorted(identity.groups),
                    "language": identity.language,
                    "data": dict(identity.data),
                }
        sys.stdout.write(json.dumps(outcome) + "\n")


def main(reactor: Any, url: str, timeout: str, *cookies: str) -> Deferred[None]:
    observer: Any = textFileLogObserver(sys.stderr)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    settings = CallbackSettings(url=url, timeout=float(timeout), cache_seconds=0.0)
    callback = Callback(settings, HttpPost(reactor, url), reactor.callLater)
    return Deferred.fromCoroutine(ask_all(callback, list(cookies)))


if __name__ == "__main__":
    react(main, sys.argv[1:])
