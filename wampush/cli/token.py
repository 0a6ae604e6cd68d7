"""``wampush token``: print a token for tests.

Owns: its arguments, and the claims made of them. Must not import: Twisted; nor, at module level,
PyJWT, which would make ``wampush --help`` slow.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson

from wampush.config.tables.identity import Algorithm
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.config.tables.identity import TokenSettings

DEFAULT_TTL: Final = 3600
_MAX_TTL: Final = 10 * 365 * 86_400

_EPILOG = """\
examples:
  wampush token --user 7 --group staff --config wampush.toml
  wampush token --user 7 --ttl 60 --claim theme='"dark"' --key-file secret.key
  wampush token --user 7 --algorithm ES256 --key-file private.pem

HS256 signs with the key of the configuration. RS256 and ES256 sign with a private key, which the
server does not have: pass it with --key-file. Anyone who has the token is that user until it
expires.
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "token",
        help="print a token for tests",
        description="Print a JSON Web Token that identifies a user to the server.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--user", metavar="ID", help="the user (sub); by default the client is not logged in"
    )
    parser.add_argument(
        "--group", metavar="NAME", action="append", default=[], help="a group; repeatable"
    )
    parser.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=_ttl,
        default=DEFAULT_TTL,
        help="how long the token is valid (default: %(default)s)",
    )
    parser.add_argument("--language", metavar="TAG", help="the language (lang)")
    parser.add_argument(
        "--claim",
        metavar="NAME=JSON",
        type=_claim,
        action="append",
        default=[],
        help="a further claim; repeatable",
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a TOML file (default: $WAMPUSH_CONFIG)"
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="the signing key (default with HS256: token.key_file of the configuration)",
    )
    parser.add_argument(
        "--algorithm",
        choices=get_args(Algorithm),
        help="the signature algorithm (default: token.algorithm of the configuration)",
    )
    parser.add_argument("--kid", metavar="NAME", help="the name of the key in a JWK set")
    parser.set_defaults(run=run)


def _ttl(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) <= _MAX_TTL:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a whole number of seconds from 1 to {_MAX_TTL}"
        )
    return int(text)


def _claim(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    try:
        if name and equals:
            return name, orjson.loads(os.fsencode(value))
    except orjson.JSONDecodeError:
        pass
    raise argparse.ArgumentTypeError(
        f"{text[:80]!r} must be NAME=JSON; quote strings: theme='\"dark\"'"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the token.

    :raises OperatorError: no key to sign with is given, or it cannot be used.
    """
    from wampush.config import load as config
    from wampush.edges.auth import token_keys, tokens

    settings = config.load(arguments.config, os.environ, {}).settings.token
    algorithm = arguments.algorithm or settings.algorithm
    path, setting = arguments.key_file, "--key-file"
    if path is None:
        path, setting = settings.key_file, "token.key_file"
        if algorithm != "HS256" or not path:
            raise OperatorError(
                "no key to sign with; pass it with --key-file, or with HS256 set token.key_file"
            )
    key = token_keys.load_signing_key(path, algorithm, setting)
    headers = {} if arguments.kid is None else {"kid": arguments.kid}
    token = tokens.issue(key, _claims(arguments, settings), headers)
    sys.stdout.write(token + "\n")
    return 0


def _claims(arguments: argparse.Namespace, settings: TokenSettings) -> dict[str, object]:
    now = int(time.time())
    claims: dict[str, object] = {"iat": now, "exp": now + arguments.ttl}
    given = {
        "sub": arguments.user,
        "groups": arguments.group or None,
        "lang": arguments.language,
        "aud": settings.audience or None,
        "iss": settings.issuer or None,
    }
    claims.update({name: value for name, value in given.items() if value is not None})
    claims.update(arguments.claim)
    return claims
