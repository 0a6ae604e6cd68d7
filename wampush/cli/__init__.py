"""The ``wampush`` command."""

from wampush.cli.command import main

__all__ = ["main"]
