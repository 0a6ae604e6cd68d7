"""``wampush upgrade`` and ``wampush reload``: replace a running server by a new process.

Owns: their arguments, and what is printed. Must not import: the reactor, the composition root.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Final

from wampush.cli.running_parents import ask, chosen_parent
from wampush.cli.support import Parser, complain

_UPGRADE: Final = """\
Starts a new process from the code and the configuration on disk. Once it is ready, it takes the
sessions over, and the old process ends. If it does not become ready, nothing changes, and the
reason is printed. SIGUSR2 does the same, and writes the outcome to the log only.
"""
_RELOAD: Final = """\
Has the server read keys and certificates again. If settings have changed, a new process takes over,
as with wampush upgrade. A configuration with mistakes changes nothing. SIGHUP does the same, and
writes the outcome to the log only.
"""


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the commands."""
    for name, summary, description in (
        ("upgrade", "replace the running server by the version on disk", _UPGRADE),
        ("reload", "apply the configuration on disk to the running server", _RELOAD),
    ):
        parser = commands.add_parser(name, help=summary, description=description)
        parser.add_argument(
            "--pid",
            type=int,
            metavar="PROCESS",
            help="id of the process that twistd has started (default: the only one)",
        )
        parser.set_defaults(run=partial(run, name))


def run(command: str, arguments: argparse.Namespace) -> int:
    """Have the server carry a command out, and print the outcome.

    :raises OperatorError: there is no server, or it does not answer.
    """
    outcome = ask(chosen_parent(arguments.pid), command)
    if outcome.is_done:
        print(f"{command}: {outcome.text}")
        return 0
    complain(f"{command}: {outcome.text}")
    return 1
