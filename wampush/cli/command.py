"""The ``wampush`` command: push, listen, check, config-schema, token, upgrade, reload.

Owns: the command line and exit statuses; each command is a module of its own.
Must not import at module level: Twisted's reactor or ZeroMQ, which would make ``wampush --help``
wait; each command imports what it needs.

Exit statuses: 0 success, 1 failure (stderr says why, one line per mistake), 2 wrong arguments,
130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from wampush import __version__
from wampush.cli import check, listen, push, schema, token, upgrade
from wampush.cli.support import Parser, complain, give_up_stdout
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP_EPILOG = """\
examples:
  wampush push MainCategory '{"title": "hello"}'
  wampush listen MainCategory
  wampush check --config wampush.toml

The server itself is started with: twistd -n wampush
"""


def _parser() -> Parser:
    parser = Parser(
        prog="wampush",
        description="Talk to a wampush server from the command line.",
        epilog=_TOP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"wampush {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    push.add(commands)
    listen.add(commands)
    check.add(commands)
    schema.add(commands)
    token.add(commands)
    upgrade.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: the arguments without the program's name; those of the process when left out.
    :returns: the exit status.
    """
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except OperatorError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        give_up_stdout()
        return 0
    except KeyboardInterrupt:
        return 130
    return status
