"""For whom ``wampush push`` pushes.

Owns: the arguments about people and sessions, and the part of a push that they become. Must not
import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import argparse

import orjson

_KINDS = ("user", "group", "session")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add who gets it and who does not."""
    whom = parser.add_argument_group(
        "for whom", "Without these, all who subscribed; else only these of them, all together."
    )
    for kind in _KINDS:
        whom.add_argument(
            f"--{kind}",
            metavar="ID",
            type=_id,
            action="append",
            help=f"only for this {kind}; repeatable",
        )
    whom.add_argument("--registered", action="store_true", help="only for everybody logged in")
    for kind in _KINDS:
        whom.add_argument(
            f"--exclude-{kind}",
            metavar="ID",
            type=_id,
            action="append",
            help=f"not for this {kind}; repeatable",
        )


def options(arguments: argparse.Namespace) -> bytes | None:
    """The third part of a push; None where everybody gets it."""
    to: dict[str, object] = _named(arguments, "")
    if arguments.registered:
        to["registered"] = True
    exclude = _named(arguments, "exclude_")
    if exclude:
        to["exclude"] = exclude
    return orjson.dumps({"to": to}) if to else None


def _named(arguments: argparse.Namespace, prefix: str) -> dict[str, object]:
    given = {f"{kind}s": getattr(arguments, f"{prefix}{kind}") for kind in _KINDS}
    return {name: ids for name, ids in given.items() if ids}


def _id(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("an id is UTF-8") from None
    if not text:
        raise argparse.ArgumentTypeError("an id is not empty")
    return text
