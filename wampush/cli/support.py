"""What the subcommands of ``wampush`` share.

Owns: the argument parser, and messages on standard error.
Must not import: Twisted, ZeroMQ, or anything of wampush.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def complain(text: str) -> None:
    """Write each line of a text to standard error."""
    for line in text.splitlines():
        sys.stderr.write(f"wampush: {line}\n")
    sys.stderr.flush()


def topic_text(text: str) -> str:
    """Check an argument that is a topic.

    :raises argparse.ArgumentTypeError: it is empty or not UTF-8.
    """
    if not text:
        raise argparse.ArgumentTypeError("a topic must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("a topic must be UTF-8") from None
    return text


def give_up_stdout() -> None:
    """Redirect standard output to nowhere, so that flushing it at exit succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
