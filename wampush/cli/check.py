"""``wampush check``: the configuration that would be in force, and what is wrong with it.

Owns: its arguments, and what is printed. Must not import: the reactor, the composition root.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from traceback import print_exception

from wampush.cli import addresses, files, modules, permissions, redis_server
from wampush.cli.support import Parser, complain
from wampush.speedups import ACTIVE, threads_problem

_EPILOG = """\
examples:
  wampush check
  wampush check --config /etc/wampush.toml
  WAMPUSH_HTTP_LISTEN=off wampush check --listen tcp:9000
  wampush check --set websocket.compression=true --set clients.publish=never
  wampush check --load --traceback
  wampush check --user alice --groups staff --action subscribe user.alice.inbox

Prints one line per setting: key, value and origin. The command line overrides the environment,
which overrides the file, which overrides the defaults. The last line says whether the extension in
C is used. Mistakes go to standard error, one line each.

With a TOPIC, it prints one line per topic and action instead: whether this identity may do it, and
which entry of [[permissions]] or [clients] decides.
"""


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check the configuration and print what would be in force",
        description="Check the configuration and print what would be in force, or who may do what.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a TOML file (default: $WAMPUSH_CONFIG)"
    )
    parser.add_argument(
        "--listen", metavar="ENDPOINT", action="append", help="as given to twistd; repeatable"
    )
    parser.add_argument(
        "--pull", metavar="ADDRESS", action="append", help="as given to twistd; repeatable"
    )
    parser.add_argument("--http", metavar="ENDPOINT|off", help="as given to twistd")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any setting, as given to twistd, such as websocket.ping_interval=20; repeatable",
    )
    parser.add_argument(
        "--load",
        action="store_true",
        help="import the apps and create the components, as the server would; this runs their code",
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="with --load, also print the whole traceback of what application code raises",
    )
    permissions.add_arguments(parser)
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, arguments: argparse.Namespace) -> int:
    """Check the configuration; report every mistake of the sources, or of what they name.

    :raises ConfigErrors: a source has mistakes.
    """
    from wampush.config import load as config

    if not arguments.topics and (arguments.user or arguments.groups or arguments.action):
        parser.error("--user, --groups and --action need a TOPIC")
    if arguments.traceback and not arguments.load:
        parser.error("--traceback needs --load")

    overrides: dict[str, object] = {
        "websocket.listen": arguments.listen,
        "zmq.pull": arguments.pull,
        "http.listen": arguments.http,
    }
    loaded = config.load(arguments.config, os.environ, overrides, arguments.set)
    if arguments.topics:
        for line in permissions.explain(arguments, loaded.settings):
            print(line)
        return 0
    rows = config.describe(loaded)
    keys = max(len(row.key) for row in rows)
    values = max(len(config.as_toml(row.value)) for row in rows)
    for row in rows:
        print(f"{row.key:<{keys}} = {config.as_toml(row.value):<{values}}  # {row.origin}")
    print(f"# speedups: {ACTIVE}")
    redis_notes, redis_problems = redis_server.findings(loaded.settings)
    problems = [
        *(
            modules.unusable(loaded, print_exception if arguments.traceback else None)
            if arguments.load
            else modules.missing(loaded)
        ),
        *files.problems(loaded.settings),
        *addresses.problems(loaded.settings),
        *redis_problems,
    ]
    threads_note = threads_problem(loaded.settings.process.send_threads)
    notes = () if threads_note is None else (threads_note,)
    for note in (*notes, *files.notes(loaded.settings), *redis_notes):
        complain(note)
    for problem in problems:
        complain(problem)
    return 1 if problems else 0
