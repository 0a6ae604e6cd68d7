"""The modules pass of ``wampush check``: the application code that the configuration names.

Owns: whether its modules exist, and with ``--load``, whether the server could use them.
Must not import: the composition root; apps and components are imported when they are to be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from wampush.apps import loader
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.apps import App
    from wampush.config.load import LoadedSettings


def missing(loaded: LoadedSettings) -> Iterator[str]:
    """Yield one line for each app and component whose module does not exist."""
    for name in loaded.settings.apps:
        yield from _failure(partial(loader.check, name, loaded.folder, "apps"))
    for setting, name in _components(loaded):
        yield from _failure(partial(loader.check, name, loaded.folder, setting))


def unusable(
    loaded: LoadedSettings, on_cause: Callable[[BaseException], None] | None = None
) -> Iterator[str]:
    """Yield one line for each app and component that the server could not use.

    This runs application code: modules are imported, and components created.

    :param on_cause: gets what application code has raised; None to leave that out.
    """
    from wampush.apps.components.registry import create_component
    from wampush.apps.python.loading import load_app

    apps: dict[str, App] = {}
    for name in loaded.settings.apps:
        try:
            apps[name] = load_app(name, loaded.folder, apps)
        except OperatorError as error:
            _show_cause(error, on_cause)
            yield str(error)
    for setting, name in _components(loaded):
        create = partial(create_component, name, loaded.folder, setting)
        yield from _failure(create, on_cause)


def _components(loaded: LoadedSettings) -> Iterator[tuple[str, str]]:
    for number, route in enumerate(loaded.settings.routes, 1):
        yield f"routes[{number}].component", route.component


def _failure(
    check: Callable[[], object], on_cause: Callable[[BaseException], None] | None = None
) -> Iterator[str]:
    try:
        check()
    except OperatorError as error:
        _show_cause(error, on_cause)
        yield str(error)


def _show_cause(error: OperatorError, on_cause: Callable[[BaseException], None] | None) -> None:
    if on_cause is not None and error.__cause__ is not None:
        on_cause(error.__cause__)
