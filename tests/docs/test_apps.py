"""The reference of apps names what the code offers, all of it and nothing else."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from wampush import apps
from wampush.apps.python import app as app_module
from wampush.apps.python.handlers import HandlerOptions, handler

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "apps.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """One section of the page."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> list[str]:
    """What stands in code style at the beginning of the rows."""
    return re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)


def signature_of(name: str, function: Any) -> str:
    """A function as the page writes it."""
    parameters = list(inspect.signature(function).parameters.values())
    if parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        options = inspect.signature(handler).parameters
        parameters[-1:] = [options[name] for name in HandlerOptions.__annotations__]
    shown: list[str] = []
    for each in parameters:
        if each.name in ("self", "function"):
            continue
        if each.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(str(each.replace(annotation=each.empty)).replace(" = ", "="))
    return f"{name}({', '.join(shown)})"


def public(owner: Any) -> list[str]:
    """The names of a class that others use."""
    names = [name for name in vars(owner) if not name.startswith("_")]
    slots = [name for name in getattr(owner, "__slots__", ()) if not name.startswith("_")]
    return list(dict.fromkeys([*slots, *names]))


def test_the_page_lists_every_decorator_with_its_arguments():
    decorators = {name: getattr(apps.App, name) for name in public(apps.App)}
    expected = {signature_of(name, each) for name, each in decorators.items()}
    assert set(first_column(section("`App()`"))) == expected


@pytest.mark.parametrize(
    ("owner", "hidden"),
    [
        (apps.Context, set()),
        (apps.Session, {"end_reason", "on_open", "on_lost", "snapshot", "restore"}),
        (apps.Presence, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_page_lists_what_contexts_offer(owner, hidden):
    text = section(f"`{owner.__name__}`").split("\n`ConnectContext`")[0]
    expected = set()
    inherited = public(apps.ServerContext) if owner is apps.Context else []
    for name in {*public(owner), *inherited} - hidden:
        member = inspect.getattr_static(owner, name)
        expected.add(signature_of(name, member) if inspect.isfunction(member) else name)
    assert set(first_column(text)) == expected


def test_the_page_lists_what_only_connecting_handlers_get():
    text = section("`Context`").split("\n`ConnectContext`")[1]
    assert first_column(text) == public(apps.ConnectContext) == ["request"]
    for name in public(apps.ConnectRequest):
        assert f"`{name}`" in text or name in ("target", "parameter")


def test_the_page_lists_every_other_name():
    named = [
        *first_column(section("What handlers raise and return")),
        *first_column(section("Other names")),
        "App",
        "ServerContext",
        "Context",
        "ConnectContext",
        "Session",
        "Presence",
    ]
    assert sorted(each.partition("(")[0] for each in named) == sorted(apps.__all__)


@pytest.mark.parametrize("error", [apps.WampError, apps.ActionError, apps.Refuse, apps.Rewrite])
def test_errors_and_values_have_the_arguments_that_the_page_names(error):
    rows = first_column(section("What handlers raise and return"))
    assert signature_of(error.__name__, error) in rows


def test_the_page_names_the_fields_of_identities_and_targets():
    for name in (each.name for each in fields(apps.Identity)):
        assert f"`{name}`" in section("`Session`")
    for name in (each.name for each in fields(apps.Targets)):
        assert f"`{name}`" in section("Other names")
    assert signature_of("Salting", apps.Salting) in section("Other names")


def test_the_actions_of_the_server_are_named_where_actions_are_described():
    guide = Path(__file__).parents[2] / "docs" / "howto" / "actions.md"
    for name in app_module.SYSTEM_ACTIONS:
        assert f'@app.action("{name}")' in guide.read_text(encoding="utf-8")
