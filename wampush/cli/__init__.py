"""The ``wampush`` command.

Owns: the subcommands. Must not import: the node.
"""

from wampush.cli.command import main

__all__ = ["main"]
