"""Loading of the Python apps that the configuration names.

Owns: that each is an app, and which names apps must not share.
Must not import: the edges, the composition root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from wampush.apps import loader
from wampush.apps.python.app import App
from wampush.errors import OperatorError
from wampush.excerpts import shown

_KEY: Final = "apps"


def load_apps(names: Sequence[str], folder: Path | None) -> Mapping[str, App]:
    """Import the apps that the configuration names, in its order.

    :param folder: of the configuration file.
    :raises OperatorError: when an app cannot be used, or two apps share a name.
    """
    apps: dict[str, App] = {}
    for name in names:
        apps[name] = load_app(name, folder, apps)
    return apps


def check_apps(apps: Mapping[str, App]) -> None:
    """Check that no two apps share a name.

    :param apps: by their own names, for errors.
    :raises OperatorError: when two do.
    """
    seen: dict[str, App] = {}
    for name, app in apps.items():
        for other_name, other in seen.items():
            _check_distinct(name, app, other_name, other)
        seen[name] = app


def load_app(name: str, folder: Path | None, others: Mapping[str, App]) -> App:
    """Import an app.

    :param folder: of the configuration file.
    :param others: apps with which it must not share a name.
    :raises OperatorError: when it cannot be used.
    """
    found = loader.load(name, folder, _KEY)
    prefix = loader.prefix_of(_KEY, name)
    if not isinstance(found, App):
        raise OperatorError(f"{prefix}: it must be an App, such as app = App(), not {shown(found)}")
    for other, app in others.items():
        _check_distinct(prefix, found, other, app)
    return found


def _check_distinct(prefix: str, app: App, other_name: str, other: App) -> None:
    if app is other:
        raise OperatorError(f"{prefix}: this is the same app as {other_name}; name it once")
    own, theirs = app.registered, other.registered
    for kind, names in (
        ("procedure", own.procedures.keys() & theirs.procedures.keys()),
        ("action", own.actions.keys() & theirs.actions.keys()),
    ):
        for name in sorted(names):
            raise OperatorError(
                f"{prefix}: {other_name} has registered the {kind} {name!r} already"
            )
    if own.cra_key is not None and theirs.cra_key is not None:
        raise OperatorError(f"{prefix}: {other_name} has registered a cra_key handler already")
