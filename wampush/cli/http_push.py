"""Pushes of ``wampush push`` over HTTP, whose responses say how many sessions received them.

Owns: its options, and what is printed. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import argparse
import json
import urllib.error
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

from wampush.cli import http_port
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of pushes over HTTP."""
    parser.add_argument(
        "--http",
        metavar="URL",
        help=f"push over HTTP instead of ZeroMQ, to a URL such as {http_port.HTTP_URL}, and print "
        "how many sessions receive each push",
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="the token of http.token_file, for --http"
    )


def mistake_in(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the options; "" if nothing is."""
    if arguments.http is None:
        return "" if arguments.token_file is None else "--token-file needs --http"
    if arguments.server_key:
        return "--http cannot be combined with --server-key and --secret-key, which are for ZeroMQ"
    return http_port.mistake_in_url(arguments.http)


def send_all(
    arguments: argparse.Namespace, payloads: Iterable[bytes], options: bytes | None
) -> None:
    """Push, and print the number of receivers of each push.

    :param payloads: JSON texts.
    :param options: as of the third part of a push.
    :raises OperatorError: the server does not respond, or refuses a push.
    """
    base = arguments.http.rstrip("/")
    query = "" if options is None else f"?{_query(options)}"
    url = f"{base}/publish/{quote(arguments.topic, safe='')}{query}"
    headers = {"Content-Type": "application/json"}
    headers |= http_port.authorization(arguments.token_file)
    for payload in payloads:
        try:
            with http_port.request(url, headers, arguments.timeout, payload) as response:
                receivers = int(orjson.loads(response.read(http_port.MAX_RESPONSE))["receivers"])
        except urllib.error.HTTPError as error:
            why = http_port.problem_of(error)
            raise OperatorError(f"{base} refused the push: {why}") from error
        except (OSError, HTTPException) as error:
            why = http_port.problem_of(error)
            raise OperatorError(f"cannot push to {base}: {why}") from error
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise OperatorError(f"{base} is not the HTTP port of wampush") from None
        print(f"{receivers} receiver{'' if receivers == 1 else 's'}", flush=True)


def _query(options: bytes) -> str:
    return urlencode({key: json.dumps(value) for key, value in orjson.loads(options).items()})
