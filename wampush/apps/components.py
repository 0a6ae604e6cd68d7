"""All plain WebSocket components of a node.

Owns: how the components of ``[[routes]]`` are found and made, and the end of all of them.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, gatherResults

from wampush.apps import loader
from wampush.apps.component import Component
from wampush.apps.component_host import ComponentHost
from wampush.apps.incidents import Incidents
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.settings.routes import RouteSettings


class Components:
    """The components of the configuration; make it after the reactor is installed.

    :param routes: ``[[routes]]``.
    :param folder: of the configuration file, if there is one.
    :param pending: messages of one connection that may wait for its component.
    :param call_later: ``IReactorTime.callLater``.
    :raises OperatorError: when one can not be made.
    """

    def __init__(
        self,
        routes: Sequence[RouteSettings],
        folder: Path | None,
        pending: int,
        call_later: Callable[..., Any],
    ) -> None:
        numbers = count(1)
        incidents = Incidents()
        #: In the order of the routes.
        self.hosts: Final[Sequence[ComponentHost]] = [
            ComponentHost(
                route.component,
                _made(route.component, folder, f"routes[{number}].component"),
                pending,
                numbers,
                incidents,
                call_later,
            )
            for number, route in enumerate(routes, 1)
        ]

    def stop(self) -> Deferred[None]:
        """Wait for what clients have left behind; all connections are lost by now.

        :returns: fires when everything is dealt with or given up.
        """
        stopped = gatherResults([host.stop() for host in self.hosts])
        return stopped.addCallback(lambda _: None)


def _made(name: str, folder: Path | None, setting: str) -> Component:
    found = loader.load(name, folder, setting)
    prefix = loader.prefix_of(setting, name)
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise OperatorError(f"{prefix}: it is no subclass of wampush.apps.component.Component")
    return loader.make(found, prefix)
