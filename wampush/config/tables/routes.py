"""The list of tables ``[[routes]]``: plain WebSocket components.

Owns: the form of an entry. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wampush.config.checks.names import Name, ObjectName, RoutePath
from wampush.config.checks.origins import OriginPattern
from wampush.config.rules import Conflict, rule


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """One entry of ``[[routes]]``: a path of the WebSocket port for a component.

    :param path: Exactly this path, with any query; all other paths are served as WAMP v1.
    :param component: A class on Python's path or next to this file; one instance is created at the
        start.
    :param origins: Pages that may connect to this path; empty: those of ``websocket.origins``.
    :param subprotocols: The subprotocols of the component; the first that a client offers is
        selected. Most pages offer none.
    """

    path: RoutePath
    component: ObjectName
    origins: tuple[OriginPattern, ...] = ()
    subprotocols: tuple[Name, ...] = ()


@rule("routes")
def paths_differ(routes: Mapping[int, RouteSettings]) -> Iterator[Conflict]:
    """A path has one component."""
    seen: dict[str, int] = {}
    for number, route in routes.items():
        first = seen.setdefault(route.path, number)
        if first != number:
            problem = f"is already the path of routes[{first}]; a path has one component"
            yield Conflict(number, "path", problem)
