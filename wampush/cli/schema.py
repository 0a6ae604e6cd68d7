"""``wampush config-schema``: the JSON Schema of the configuration file.

Owns: the subcommand. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

_EPILOG = """\
examples:
  wampush config-schema > wampush.schema.json

Editors with a TOML language server complete and check the file when its first line is:
#:schema ./wampush.schema.json
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "config-schema",
        help="print the JSON Schema of the configuration file",
        description="Print the JSON Schema of the configuration file, for editors.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    del arguments
    from wampush.config.schema import schema

    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    return 0
