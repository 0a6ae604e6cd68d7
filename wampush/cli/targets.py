"""The receivers of ``wampush push``.

Owns: the options for topics, users, groups and sessions, and the part of a push that they become.
Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import argparse

import orjson

from wampush.cli.support import topic_text

_KINDS = ("user", "group", "session")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select receivers."""
    parser.add_argument(
        "--also",
        metavar="TOPIC",
        type=topic_text,
        action="append",
        help="push to this topic, too; repeatable",
    )
    receivers = parser.add_argument_group(
        "receivers",
        "By default all subscribers of the topic. Options that select receivers add up.",
    )
    for kind in _KINDS:
        receivers.add_argument(
            f"--{kind}",
            metavar="ID",
            type=_id,
            action="append",
            help=f"push to this {kind} only; repeatable",
        )
    receivers.add_argument("--registered", action="store_true", help="push to logged-in users only")
    for kind in _KINDS:
        receivers.add_argument(
            f"--exclude-{kind}",
            metavar="ID",
            type=_id,
            action="append",
            help=f"do not push to this {kind}; repeatable",
        )


def options(arguments: argparse.Namespace) -> bytes | None:
    """Return the third part of a push; None to push to all subscribers."""
    to: dict[str, object] = _named(arguments, "")
    if arguments.registered:
        to["registered"] = True
    exclude = _named(arguments, "exclude_")
    if exclude:
        to["exclude"] = exclude
    found: dict[str, object] = {"to": to} if to else {}
    if arguments.also:
        found["topics"] = arguments.also
    return orjson.dumps(found) if found else None


def _named(arguments: argparse.Namespace, prefix: str) -> dict[str, object]:
    values = {f"{kind}s": getattr(arguments, f"{prefix}{kind}") for kind in _KINDS}
    return {name: ids for name, ids in values.items() if ids}


def _id(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("an id must be UTF-8") from None
    if not text:
        raise argparse.ArgumentTypeError("an id must not be empty")
    return text
