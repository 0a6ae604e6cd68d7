"""The settings about application code in Python.

Owns: the key ``apps``, the table ``[application]``, and what fits together in them; ``settings``
joins them to the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wampush.config.checks.apps import ObjectName
from wampush.config.checks.common import ListOf, Number, WholeNumber
from wampush.config.setting import about

ABOUT_APPS: Final[Mapping[str, Any]] = about(
    "",
    "Only what is named is loaded: such as `shop.live:app`, found on Python's path or beside this "
    "file.",
    ListOf(ObjectName()),
)


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """``[application]``: how the handlers of ``apps`` run. Times in seconds."""

    timeout: float = field(
        default=10.0,
        metadata=about(
            "s",
            "A person waits for the answer; a handler may have a limit of its own.",
            Number(0.01, 86_400),
        ),
    )
    connect_timeout: float = field(
        default=1.5,
        metadata=about(
            "s",
            "The same for `on_connect`; with `callback.timeout` less than "
            "`websocket.handshake_timeout`.",
            Number(0.01, 3600),
        ),
    )
    threads: int = field(
        default=10,
        metadata=about(
            "threads",
            "For handlers that block, such as most database drivers; who needs one more waits.",
            WholeNumber(1, 1000),
        ),
    )


def application_conflicts(
    apps: Sequence[str],
    application: ApplicationSettings,
    callback_timeout: float,
    handshake_timeout: float,
) -> Iterator[tuple[str, object, str]]:
    """What does not fit together: a key, its value, and what would be right.

    :param callback_timeout: of ``[callback]``, 0 where it is not used.
    """
    if apps and application.connect_timeout + callback_timeout >= handshake_timeout:
        more = f", with callback.timeout ({callback_timeout:g} s)," if callback_timeout else ""
        expected = f"must{more} be less than websocket.handshake_timeout ({handshake_timeout:g} s)"
        yield "application.connect_timeout", application.connect_timeout, expected
