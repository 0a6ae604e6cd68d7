"""The plain WebSocket components of a node.

Owns: how the components of ``[[routes]]`` are loaded, created and stopped.
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
from wampush.excerpts import shown

if TYPE_CHECKING:
    from wampush.broker.memory import Memory
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
    """The components of the configuration, created after the reactor is installed.

    :param routes: ``[[routes]]``.
    :param folder: of the configuration file, if there is one.
    :param max_pending: messages of one connection that may wait for its component.
    :param max_pending_bytes: size of these messages together; a single one may be longer.
    :param memory: counts what connections make the node keep.
    :param call_later: ``IReactorTime.callLater``.
    :raises OperatorError: when a component cannot be created.
    """

    def __init__(
        self,
        *,
        routes: Sequence[RouteSettings],
        folder: Path | None,
        max_pending: int,
        max_pending_bytes: int,
        memory: Memory,
        call_later: Callable[..., Any],
    ) -> None:
        numbers = count(1)
        incidents = Incidents()
        #: In the order of the routes.
        self.hosts: Final[Sequence[ComponentHost]] = [
            ComponentHost(
                name=route.component,
                component=create_component(route.component, folder, f"routes[{number}].component"),
                max_pending=max_pending,
                max_pending_bytes=max_pending_bytes,
                memory=memory,
                numbers=numbers,
                incidents=incidents,
                call_later=call_later,
            )
            for number, route in enumerate(routes, 1)
        ]

    def stop(self) -> Deferred[None]:
        """Wait until what clients have left is handled; all connections are lost by now.

        :returns: fires when everything is handled or given up.
        """
        stopped = gatherResults([host.stop() for host in self.hosts])
        return stopped.addCallback(lambda _: None)


def create_component(name: str, folder: Path | None, setting: str) -> Component:
    """Import a component and create it.

    :param folder: of the configuration file, if there is one.
    :param setting: the dotted name of the setting, for errors.
    :raises OperatorError: when it cannot be created.
    """
    found = loader.load(name, folder, setting)
    prefix = loader.prefix_of(setting, name)
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise OperatorError(
            f"{prefix}: it must be a subclass of wampush.apps.component.Component, "
            f"not {shown(found)}"
        )
    component = loader.create(found, prefix)
    for method, names in _METHODS.items():
        problem = _misfit(component, method, names)
        if problem:
            raise OperatorError(f"{prefix}: {problem}")
    return component


def _misfit(component: Component, name: str, names: Sequence[str]) -> str:
    """Return why a method cannot be called, or never will be; "" when it is right."""
    if getattr(type(component), name) is getattr(Component, name):
        head, tail = name.split("_")
        camel_case = f"{head}{tail.capitalize()}"
        if hasattr(component, camel_case):
            return f"{camel_case} is never called; rename it to {name}"
        return ""
    method = getattr(component, name)
    right = f"{name} must take ({', '.join(('self', *names))})"
    try:
        found = signature(method)
    except TypeError:
        return f"{right}, but is {shown(method)}"
    except ValueError:
        # Some functions written in C have no signature.
        return ""
    try:
        found.bind(*names)
    except TypeError:
        takes = ", ".join(("self", *map(str, found.parameters.values())))
        return f"{right}, not ({takes})"
    return ""
