"""The reference pages name what the code offers, all of it and nothing else."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from wampush import client
from wampush.cli import command
from wampush.config.settings import SECTIONS
from wampush.edges.http.routes import HttpEdge
from wampush.node.options import Options
from wampush.wamp.uris import WAMP1

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    """The text of a reference page."""
    return (REFERENCE / name).read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the subcommands of ``wampush``."""
    (found,) = (
        action
        for action in command._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found.choices)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser, but for --help, which all have."""
    names = {name for action in parser._actions for name in action.option_strings}
    return {name for name in names if name.startswith("--")} - {"--help"}


def daemon_options() -> set[str]:
    """The long options of ``twistd wampush``, but for those that all programs have."""
    return {f"--{name.rstrip('=')}" for name in Options().longOpt} - {"--help", "--version"}


def documented_commands() -> dict[str, str]:
    """The sections of the page that describe subcommands, by name."""
    sections = re.split(r"^## ", page("command-line.md"), flags=re.MULTILINE)[1:]
    texts = {section.split("\n", 1)[0].strip("` "): section for section in sections}
    return {name: text for name, text in texts.items() if re.fullmatch(r"[a-z-]+", name)}


def without_blocks(text: str) -> str:
    """A page without its fenced blocks, which may show mistakes."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def first_column(text: str) -> set[str]:
    """The words in code style in the first column of all tables."""
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(.+?)`", row)}


# Command line


def test_each_command_has_its_section() -> None:
    assert documented_commands().keys() == commands().keys()


@pytest.mark.parametrize("command", commands())
def test_the_options_of_a_command_are_those_of_its_tables(command: str) -> None:
    named = {word.split()[0] for word in first_column(documented_commands()[command])}
    documented = {word for word in named if word.startswith("--")}
    assert documented == options_of(commands()[command])


def test_the_options_of_the_daemon_are_described() -> None:
    text = page("command-line.md")
    missing = {name for name in daemon_options() if f"`{name}" not in text}
    assert missing == set()


def test_no_page_names_an_option_that_does_not_exist() -> None:
    known = {"--help", "--version", *daemon_options(), *options_of(command._parser())}
    for parser in commands().values():
        known |= options_of(parser)
    strangers = {
        name
        for path in REFERENCE.glob("*.md")
        for name in re.findall(r"`(--[a-z-]+)", path.read_text(encoding="utf-8"))
        if name not in known
    }
    assert strangers == set()


# Settings


def keys() -> set[str]:
    """Every dotted key of the settings."""
    return {f"{name}.{each.name}" for name, owner in SECTIONS.items() for each in fields(owner)}


def test_every_key_that_a_document_names_exists() -> None:
    sections = "|".join(SECTIONS)
    named = re.compile(rf"(?<![\w./-])(?:{sections})\.[a-z_]+\b(?!\.|/|\()")
    strangers = {
        (path.name, key)
        for path in DOCUMENTS
        for key in named.findall(without_blocks(path.read_text(encoding="utf-8")))
        if key not in keys() and not key.endswith((".py", ".js", ".md"))
    }
    assert strangers == set()


def test_the_page_describes_every_key() -> None:
    assert keys() <= first_column(page("configuration.md"))


# HTTP


def routes() -> set[str]:
    """The routes of the HTTP edge in the page's notation; a redirect counts as its target."""
    rules = (rule.rule for rule in HttpEdge.app.url_map.iter_rules())
    found = {re.sub(r"<path:__rest__>$", "…", rule) for rule in rules}
    folders = {route.removesuffix("…") for route in found if route.endswith("…")}
    return {route for route in found - folders if f"{route}/" not in found}


def test_the_page_lists_every_route() -> None:
    table = page("http.md").split("\n## ")[0]
    assert {word for word in first_column(table) if word.startswith("/")} == {
        route.replace("<string:session_id>", "ID").replace("<topic:topic>", "TOPIC")
        for route in routes()
    }


# Python client


def public_names() -> set[str]:
    """What ``wampush.client`` hands on to others."""
    return set(client.__all__)


def public_methods() -> dict[str, inspect.Signature]:
    """The methods of the client that others call."""
    members = inspect.getmembers(client.WampClient, inspect.isfunction)
    return {name: inspect.signature(each) for name, each in members if not name.startswith("_")}


def test_the_page_lists_every_public_name_of_the_client() -> None:
    text = page("python.md")
    rows = first_column(text[text.index("\n## Other names") :])
    documented = {row.partition("(")[0] for row in rows} | {"WampClient"}
    assert documented == public_names()


def test_the_page_lists_every_argument_of_the_client_with_its_default() -> None:
    section = page("python.md").split("\n## `WampClient(")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
    constants = {id(WAMP1): "`WAMP1`"}
    expected = [
        (
            name,
            "required"
            if each.default is inspect.Parameter.empty
            else constants.get(id(each.default), f"`{each.default}`"),
        )
        for name, each in inspect.signature(client.WampClient).parameters.items()
    ]
    assert rows == expected


def test_the_page_lists_every_method_with_its_arguments() -> None:
    section = page("python.md").split("\n### Connection")[1].split("\n## Other names")[0]
    documented = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", section, re.MULTILINE))
    expected = {}
    for name, signature in public_methods().items():
        shown = [
            str(each.replace(annotation=inspect.Parameter.empty)).replace(" = ", "=")
            for each in list(signature.parameters.values())[1:]
        ]
        kinds = [each.kind for each in list(signature.parameters.values())[1:]]
        if inspect.Parameter.KEYWORD_ONLY in kinds:
            shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        expected[name] = ", ".join(shown)
    assert documented == expected


def test_the_page_names_every_state() -> None:
    for state in client.ClientState:
        assert f"`{state.name}`" in page("python.md")
