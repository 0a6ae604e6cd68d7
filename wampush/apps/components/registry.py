"""All plain WebSocket components of a node.

Owns: how the components of ``[[routes]]`` are found and made, and the end of all of them.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, gatherResults

from wampush.apps import loader
from wampush.apps.component import Component
from wampush.apps.components.host import ComponentHost
from wampush.apps.incidents import Incidents
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.config.tables.routes import RouteSettings

_METHODS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "on_open": ("conn",),
        "on_message": ("conn", "data"),
        "on_close": ("conn",),
        "on_error": ("conn", "exc"),
    }
)


class Components:
    """The components of the configuration; make it after the reactor is installed.

    :param routes: ``[[routes]]``.
    :param folder: of the configuration file, if there is one.
    :param pending: messages of one connection that may wait for its component.
    :param pending_bytes: of these messages together; one alone may be longer.
    :param call_later: ``IReactorTime.callLater``.
    :raises OperatorError: when one can not be made.
    """

    def __init__(
        self,
        routes: Sequence[RouteSettings],
        folder: Path | None,
        pending: int,
        pending_bytes: int,
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
                pending_bytes,
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
    component = loader.make(found, prefix)
    for method, names in _METHODS.items():
        problem = _misfit(component, method, names)
        if problem:
            raise OperatorError(f"{prefix}: {problem}")
    return component


def _misfit(component: Component, name: str, names: Sequence[str]) -> str:
    """Why a method can not be called, or never will be; empty when all is well."""
    if getattr(type(component), name) is getattr(Component, name):
        head, tail = name.split("_")
        ratchets = f"{head}{tail.capitalize()}"
        return f"{ratchets} is never called; name it {name}" if hasattr(component, ratchets) else ""
    try:
        signature(getattr(component, name)).bind(*names)
    except TypeError:
        return f"{name} must take ({', '.join(('self', *names))})"
    except ValueError:
        # Some that are written in C do not tell what they take.
        return ""
    return ""
