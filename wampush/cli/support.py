"""What the commands of ``wampush`` have in common.

Owns: the parser that says what is wrong in one line, and what is said on stderr.
Must not import: Twisted, ZeroMQ, or anything of wampush.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def complain(text: str) -> None:
    """Write each line of a text to standard error."""
    for line in text.splitlines():
        sys.stderr.write(f"wampush: {line}\n")
    sys.stderr.flush()


def topic_text(text: str) -> str:
    """The type of an argument that is a topic."""
    if not text:
        raise argparse.ArgumentTypeError("a topic is not empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("a topic is UTF-8") from None
    return text


def give_up_stdout() -> None:
    """Let the flush at exit succeed after the reader of a pipe has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
