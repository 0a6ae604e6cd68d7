"""The members of AutobahnJS that pages use: the rows of the table, in node and in Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium

from tests.support.browser import new_user
from tests.support.client_js import ROOT, STATIC, run_node_json
from tests.support.daemon import Daemon
from tests.support.pages import page_server

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "reference" / "javascript.md"
FILES = ("genuine", "ours")
#: What the table calls add-on.
ADD_ONS = {"genuine": (), "ours": (STATIC / "wampush-cra.js",)}
#: Names that the file has; of each row the title, the members, the value, and the expected one.
Report = tuple[list[str], list[tuple[str, list[str], Any, Any]]]


@pytest.fixture(scope="module")
def genuine(autobahn_js: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of AutobahnJS."""
    path = tmp_path_factory.mktemp("genuine") / "autobahn.min.js"
    path.write_bytes(autobahn_js)
    return path


@pytest.fixture(scope="module")
def in_node(genuine: Path, lasting_daemon: Daemon) -> dict[str, Report]:
    """Names and rows of both files, in node."""
    files = {"genuine": genuine, "ours": STATIC / "wampush.js"}
    runner, members = HERE / "run_members.cjs", HERE / "members.js"
    return {
        which: run_node_json(
            runner, path, which, lasting_daemon.websocket_url, members, *ADD_ONS[which]
        )
        for which, path in files.items()
    }


@pytest.fixture(scope="module")
def in_chromium(
    genuine: Path, lasting_daemon: Daemon, shared_chromium: Chromium
) -> dict[str, Report]:
    """Names and rows of both files, in Chromium."""
    scripts = {"genuine": genuine, "ours": STATIC / "wampush.js"}
    files = {f"/{which}.js": path.read_bytes() for which, path in scripts.items()}
    files |= {f"/{path.name}": path.read_bytes() for path in ADD_ONS["ours"]}
    files["/members.js"] = (HERE / "members.js").read_bytes()
    for which in FILES:
        names = (which, *(path.stem for path in ADD_ONS[which]), "members")
        tags = "".join(f'<script src="/{name}.js"></script>' for name in names)
        files[f"/{which}.html"] = f"<!DOCTYPE html>{tags}".encode()
    found = {}
    with page_server(files) as server, new_user(shared_chromium) as user:
        for which in FILES:
            page = user.open(f"{server.url}/{which}.html")
            report = page.evaluate(f"runRows('{which}', '{lasting_daemon.websocket_url}')")
            found[which] = (page.evaluate("namesOf()"), json.loads(report))
        # What a row has a subscriber throw, and nothing else.
        assert user.errors == ["of the page"]
    return found


@pytest.fixture(params=["node", "chromium"])
def reports(request: pytest.FixtureRequest) -> dict[str, Report]:
    """Names and rows of both files, in one of the two places."""
    found: dict[str, Report] = request.getfixturevalue(f"in_{request.param}")
    return found


def table() -> dict[str, str]:
    """The documented members, with what is said of them."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"\| (`.+`) \| (same|differs|add-on|absent) \| .*\|", line)
        if match:
            for name in re.findall(r"`([^`]+)`", match[1]):
                assert name not in found, name
                found[name] = match[2]
    return found


def test_every_row_behaves_as_it_says(reports: dict[str, Report]) -> None:
    for which in FILES:
        assert [(title, got) for title, _, got, wanted in reports[which][1] if got != wanted] == []


def test_the_table_says_what_the_rows_show(reports: dict[str, Report]) -> None:
    shown: dict[str, str] = {}
    pairs = zip(reports["genuine"][1], reports["ours"][1], strict=True)
    for (_, names, _, genuine_value), (_, _, _, our_value) in pairs:
        for name in names:
            if genuine_value != our_value:
                shown[name] = "differs"
            else:
                shown.setdefault(name, "same")
    said = {
        name: "same" if each == "add-on" else each
        for name, each in table().items()
        if each != "absent"
    }
    assert said == shown


def test_every_member_of_the_genuine_file_is_in_the_table(reports: dict[str, Report]) -> None:
    said, genuine_names, our_names = table(), set(reports["genuine"][0]), set(reports["ours"][0])
    assert genuine_names - set(said) == set()
    absent = {name for name, each in said.items() if each == "absent"}
    assert absent <= genuine_names
    assert absent & our_names == set()
    assert {name for name, each in said.items() if each != "absent"} <= our_names


def test_without_the_add_on_the_core_says_what_is_missing(
    lasting_daemon: Daemon, tmp_path: Path
) -> None:
    script = tmp_path / "core.cjs"
    script.write_text(
        f"const {{ ab }} = require({json.dumps(str(STATIC / 'wampush.js'))}) && globalThis;\n"
        "globalThis.WebSocket = require('ws');\n"
        f"const made = new ab.Session({json.dumps(lasting_daemon.websocket_url)}, () => {{\n"
        "  let text; try { made.authreq('key'); } catch (error) { text = error; }\n"
        "  console.log(JSON.stringify(text)); made.close();\n"
        "});\n",
        encoding="utf-8",
    )
    assert run_node_json(script) == "WAMP-CRA needs wampush-cra.js, loaded after wampush.js"
