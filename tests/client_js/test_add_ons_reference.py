"""The reference of the add-ons names every member and option that they have, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.client_js import ROOT, run_node_json
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon

PAGE = (ROOT / "docs" / "reference" / "javascript-add-ons.md").read_text(encoding="utf-8")
TYPES = ROOT / "client-js" / "types"


@pytest.fixture(scope="module")
def members() -> Any:
    """The members of the add-ons, by where they are."""
    return run_node_json(Path(__file__).with_name("add_on_members.mjs"))


def section(title: str) -> str:
    """The part of the page under a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str, head: str) -> set[str]:
    """The names in the first column of a table, without arguments."""
    table = text.split(f"| {head} |")[1].split("\n\n", maxsplit=1)[0]
    names: set[str] = set()
    for line in table.splitlines()[2:]:
        names.update(re.findall(r"`([\w.]+)", line.split(" | ")[0]))
    return names


def interface(file: str, name: str) -> set[str]:
    """The members of an interface or class in the types."""
    text = (TYPES / file).read_text(encoding="utf-8")
    body = re.search(rf"(?:interface|class) {name}\b[^{{]*\{{\n(.*?)\n\}}", text, re.DOTALL)
    assert body is not None, name
    found = re.findall(r"^  (?:readonly )?(\w+)[?(<:]", body[1], re.MULTILINE)
    return set(found) - {"constructor", "private"}


def test_the_class_wampush(members: Any) -> None:
    assert rows(section("The class Wampush"), "Member | What it does") == set(members["Wampush"])
    assert interface("wampush-modern.d.ts", "Wampush") == set(members["Wampush"])


def test_the_options_of_wampush() -> None:
    documented = rows(section("The class Wampush"), "Option | Meaning")
    assert documented == interface("wampush-modern.d.ts", "WampushOptions")


def test_the_options_of_shared_connections() -> None:
    documented = rows(section("Tabs"), "Option | Meaning")
    assert documented == interface("wampush-tabs.d.ts", "SharedConnectionOptions")


def test_the_members_of_tabs(members: Any) -> None:
    text = section("Tabs")
    named = {each.rpartition(".")[2] for each in rows(text, "Member | What it does")}
    assert named == set(members["tabs"])
    of_connection = text.split("`WampushTabs.SharedConnection` | ")[1].splitlines()[0]
    assert set(re.findall(r"`(\w+)`", of_connection)) == {
        *members["SharedConnection"],
        "state",
        "sessionId",
    }


def test_the_members_of_wamp_cra(members: Any) -> None:
    named = rows(section("WAMP-CRA"), "Member | What it does")
    for name in set(members["cra"]) - {"install"}:
        assert f"WampushCra.{name}" in named
    assert "`install(ab)`" in section("WAMP-CRA")
    assert members["isInstalled"]
    for name in members["added"]:
        assert {f"ab.{name}", f"session.{name}"} & named, name
    assert {"deriveKey", "authsign", "authenticate"} == {
        each.partition(".")[2] for each in named if each.startswith("WampushCra.")
    }


def blocks() -> Iterator[str]:
    """The examples of the page."""
    yield from re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon
) -> None:
    code = "\n".join(blocks()).replace("wss://www.example.org/ws", shared_daemon.websocket_url)
    # What the examples ask of the page's own server and of a person.
    around = (
        "window.fetch = async () => ({ text: async () => '' }); window.prompt = () => 'secret';"
        "window.alert = (text) => { window.alerted = text; };"
    )
    more = "shared.constructor; show(client).then(() => { window.shown = true; });"
    without_name = code.replace("{ connect: WampushTabs", '{ name: "x", connect: WampushTabs')
    page = browser.open(client_site.page(before=around, code=without_name + more))
    page.wait_for_function("() => client.connected && shared.connected")
    page.evaluate(
        "client.publish('orders', { number: 1, state: 'shipped' }, { excludeMe: false });"
    )
    page.wait_for_function("() => window.shown && document.title === '0 online'")
    page.evaluate("[client, members, alice, shared].forEach((each) => each.close())")
