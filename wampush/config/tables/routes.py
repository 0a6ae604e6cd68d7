"""The settings about plain WebSocket components.

Owns: the entries of ``[[routes]]``, and what fits together in them; ``settings`` joins them to
the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from wampush.config.checks.apps import ObjectName, RoutePath
from wampush.config.checks.common import ListOf, OriginPattern
from wampush.config.checks.identity import Name
from wampush.config.setting import about


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """One entry of ``[[routes]]``: a path of the WebSocket port that is a component's."""

    path: str = field(
        metadata=about(
            "",
            "Exactly this path, whatever the query; every other one speaks WAMP v1.",
            RoutePath(),
        ),
    )
    component: str = field(
        metadata=about(
            "",
            "A class, found on Python's path or beside this file; it is made once, at the start.",
            ObjectName(),
        ),
    )
    origins: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Pages that may connect here; empty: those of `websocket.origins`.",
            ListOf(OriginPattern()),
        ),
    )
    subprotocols: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "What the component speaks; the first that a client offers is agreed on. Plain pages "
            "offer none.",
            ListOf(Name()),
        ),
    )


def route_conflicts(routes: Sequence[RouteSettings]) -> Iterator[tuple[str, object, str]]:
    """What does not fit together: a key, its value, and what would be right."""
    seen: dict[str, int] = {}
    for number, route in enumerate(routes, 1):
        first = seen.setdefault(route.path, number)
        if first != number:
            expected = f"is the path of routes[{first}] already; a path has one component"
            yield f"routes[{number}].path", route.path, expected
